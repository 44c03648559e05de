// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes nestmig-rules(7) in scdoc from the rows of the rules: run by the build. */
#include <stdio.h>
#include <string.h>

#include "rules.h"

/* scdoc takes * and _ for markup, and some characters at the start of a line. */
static void put(const char *text)
{
	for (; *text; text++) {
		if (strchr("*_\\#<>`~[].|", *text))
			putchar('\\');
		putchar(*text);
	}
}

static void put_consequence(enum nm_consequence consequence)
{
	const struct nm_consequence_row *row = &nm_consequences[consequence];

	put(row->text);
	if (consequence != NM_CONSEQUENCE_NONE)
		printf(" (*%s*)", row->outcome);
}

static void put_rule(const struct nm_rule *rule)
{
	printf("*%s* (%s)++\n\t", rule->id, nm_severity_name(rule->severity));
	put(rule->title);
	printf(". ");
	if (rule->changed) {
		printf("Before Linux %u\\.%u: ", rule->changed >> 16, rule->changed & 0xffff);
		put_consequence(rule->before);
		printf(" From then on: ");
		put_consequence(rule->after);
	} else {
		printf("Else: ");
		put_consequence(rule->before);
	}
	printf(" Source: ");
	put(rule->reference);
	printf("\\.\n\n");
}

static void put_group(const char *group)
{
	printf("# GROUP ");
	put(group);
	printf("\n\n");
	for (size_t i = 0; i < nm_rule_count; i++)
		if (strcmp(nm_rules[i].group, group) == 0)
			put_rule(&nm_rules[i]);
}

static void put_groups(void)
{
	for (size_t i = 0; i < nm_rule_count; i++) {
		size_t first = 0;

		while (strcmp(nm_rules[first].group, nm_rules[i].group) != 0)
			first++;
		if (first == i)
			put_group(nm_rules[i].group);
	}
}

/* One table of all kinds. */
static void put_not_judged(void)
{
	printf("# CONDITIONS THAT ARE NOT JUDGED\n\n"
	       "Conditions of the catalogue that cannot be judged from saved state and a host "
	       "profile, or that are none. `nestmig explain` tells the same of each.\n\n");
	printf("|[ *Condition*\n:< *Why no rule judges it*\n");
	for (size_t i = 0; i < nm_not_judged_count; i++) {
		printf("|  %s\n:  ", nm_not_judged[i].id);
		put(nm_not_judged[i].reason);
		printf("\n");
	}
	printf("\n");
}

int main(void)
{
	printf("nestmig-rules(7)\n\n# NAME\n\nnestmig-rules - the rules by which nestmig judges\n\n"
	       "# DESCRIPTION\n\n"
	       "Each rule is one condition on saved state. When it is broken, what follows depends "
	       "on "
	       "the kernel of the destination; the outcomes are explained in *nestmig*(1). An "
	       "*error* "
	       "makes the verdict of a vCPU \"fail\"; a *warning* means that the vCPU runs on, but "
	       "not as it was; a *note* is worth knowing. `nestmig explain` tells more of "
	       "each.\n\n"
	       "Rules on a VMCS12 speak of an L2 that runs. While L1 runs they are judged too, if "
	       "it has a current VMCS, but are warnings at most: its next VM entry meets what is "
	       "wrong, unless L1 changes it first.\n\n");
	put_groups();
	put_not_judged();
	printf("# SEE ALSO\n\n*nestmig*(1), *nestmig-validate*(1), *nestmig-explain*(1)\n");
	return 0;
}
