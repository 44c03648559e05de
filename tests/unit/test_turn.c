// SPDX-License-Identifier: GPL-2.0-or-later
/* What becomes of a vCPU before it is entered, and which findings that leaves out. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "rules_vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define IN_L1        VIEW(nested.flags, KVMNS_GIF_SET), VIEW(nested.vmcb_pa, 0), VIEW(nested.size, 128)
#define RUN_PENDING  VIEW(nested.flags, 0x103)
#define NO_GIF       VIEW(nested.flags, KVMNS_GUEST_MODE)
#define MP(state)    VIEW(mp_state, state)
#define INIT         VIEW(events.smi_latched_init, 1)
#define SMI          VIEW(events.smi_pending, 1)
#define NMI          VIEW(events.nmi_pending, 1)
#define SMM          VIEW(events.smi_smm, 1)
#define IRQ          VIEW(events.intr_injected, 1), VIEW(events.intr_nr, 32)
#define UD_PENDING   VIEW(events.flags, 0x1d), VIEW(events.exc_pending, 1), VIEW(events.exc_nr, 6)
#define UD_CAUGHT    PAGE(intercept_exceptions, 1 << 6)
#define TRIPLE       VIEW(events.flags, 0x2d), VIEW(events.triple_fault, 1)
#define TRIPLE_NMI   TRIPLE, VIEW(events.nmi_pending, 1)
#define CAUGHT(bits) PAGE(intercept_word3, (bits) | 1U << 31)
/* What the processor refuses. */
#define BAD_CS       VIEW(sregs.cs.db, 1)

#define SLEEPS       NM_CONSEQUENCE_WAITS
#define RUNS         NM_CONSEQUENCE_ACCEPTED
#define EAGAIN_FIRST NM_CONSEQUENCE_RUN_EAGAIN
#define RESET        NM_CONSEQUENCE_INIT_RESETS
#define TO_L1        NM_CONSEQUENCE_LEAVES_L2
#define TO_SMM       NM_CONSEQUENCE_ENTERS_SMM
#define REFUSED      NM_CONSEQUENCE_FIRST_RUN_SVM_EXIT_ERR
#define FAILED       NM_CONSEQUENCE_FIRST_RUN_FAIL_ENTRY

static const struct {
	struct poke pokes[8];
	enum nm_consequence outcome;
} turns[] = {
	/* mp_state */
	{{{0}}, RUNS},
	{{MP(1)}, SLEEPS},
	{{MP(2)}, SLEEPS},
	{{MP(3)}, SLEEPS},
	{{MP(9)}, SLEEPS},
	{{MP(4), VIEW(events.flags, 0xf)}, NM_CONSEQUENCE_SIPI_STARTS},
	{{MP(5)}, NM_CONSEQUENCE_SET_MP_STATE_EINVAL},
	{{MP(3), BAD_CS}, SLEEPS},
	{{MP(4), VIEW(events.flags, 0xf), BAD_CS}, REFUSED},
	{{MP(3), NMI}, RUNS},
	{{MP(3), NMI, BAD_CS}, REFUSED},
	{{MP(3), NMI, VIEW(events.nmi_masked, 1)}, SLEEPS},
	{{MP(3), NMI, VIEW(events.intr_shadow, 1)}, SLEEPS},
	{{MP(3), NMI, VIEW(events.nmi_masked, 1), CAUGHT(2)}, TO_L1},
	{{MP(3), NMI, VIEW(events.nmi_masked, 1), RUN_PENDING}, RUNS},
	{{MP(3), UD_PENDING}, RUNS},
	{{MP(3), TRIPLE}, NM_CONSEQUENCE_TRIPLE_FAULT_SHUTDOWN},
	{{MP(3), IRQ}, SLEEPS},
	{{MP(1), UD_PENDING}, EAGAIN_FIRST},
	{{MP(1), INIT}, EAGAIN_FIRST},
	{{MP(2), INIT}, RESET},
	{{MP(2), UD_PENDING}, SLEEPS},
	/* INIT */
	{{INIT}, RESET},
	{{INIT, BAD_CS}, RESET},
	{{INIT, VIEW(events.flags, 5)}, RUNS},
	{{INIT, CAUGHT(8)}, TO_L1},
	{{INIT, CAUGHT(8), BAD_CS}, TO_L1},
	{{INIT, NO_GIF}, RESET},
	{{INIT, NO_GIF, BAD_CS}, REFUSED},
	{{INIT, RUN_PENDING}, RESET},
	{{INIT, RUN_PENDING, BAD_CS}, REFUSED},
	{{INIT, IRQ, BAD_CS}, REFUSED},
	{{INIT, IN_L1}, RESET},
	{{INIT, IN_L1, SMM}, RESET},
	{{INIT, IN_L1, SMM, BAD_CS}, FAILED},
	{{INIT, IN_L1, IRQ, BAD_CS}, RESET},
	/* exceptions */
	{{UD_PENDING, UD_CAUGHT}, TO_L1},
	{{UD_PENDING, UD_CAUGHT, BAD_CS}, TO_L1},
	{{UD_PENDING, UD_CAUGHT, IRQ, BAD_CS}, TO_L1},
	{{UD_PENDING, UD_CAUGHT, RUN_PENDING, BAD_CS}, REFUSED},
	{{UD_PENDING, SMI, BAD_CS}, REFUSED},
	{{UD_PENDING, UD_CAUGHT, VIEW(events.flags, 0xd)}, RUNS},
	/* What L2's next exit meets, this exit meets. */
	{{UD_PENDING, UD_CAUGHT, PAGE(save_efer, 0x1000), RAM(GPA_L1_CR3, 3)},
	 NM_CONSEQUENCE_NEXT_EXIT_SHUTDOWN},
	/* SMI and NMI */
	{{SMI}, TO_SMM},
	{{SMI, BAD_CS}, TO_SMM},
	{{SMI, CAUGHT(4), BAD_CS}, TO_L1},
	{{SMI, NO_GIF}, RUNS},
	{{SMI, IRQ, BAD_CS}, REFUSED},
	{{SMI, IN_L1, BAD_CS}, TO_SMM},
	{{SMI, IN_L1, IRQ, BAD_CS}, FAILED},
	{{NMI, BAD_CS}, REFUSED},
	{{NMI, CAUGHT(2), BAD_CS}, TO_L1},
	{{NMI, CAUGHT(2), IRQ, BAD_CS}, REFUSED},
	{{NMI, CAUGHT(2), NO_GIF, BAD_CS}, REFUSED},
	/* A triple fault comes before all of them. */
	{{TRIPLE, SMI, CAUGHT(4)}, NM_CONSEQUENCE_TRIPLE_FAULT_TO_L1},
	/* What refuses comes before all of it, also after what an ioctl does quietly. */
	{{MP(3), VIEW(sregs.cr0, 0xa0000033)}, NM_CONSEQUENCE_SET_SREGS_EINVAL},
	{{SMM, MP(2)}, NM_CONSEQUENCE_SET_MP_STATE_EINVAL},
	{{SMM}, NM_CONSEQUENCE_SMM_LEAVES_NESTED},
	/* Of an exception that does not exist: to L1 in L2, else the end. */
	{{VIEW(events.exc_injected, 1), VIEW(events.exc_nr, 31)}, REFUSED},
	{{IN_L1, VIEW(events.exc_injected, 1), VIEW(events.exc_nr, 31)}, FAILED},
	/* QEMU loses an INIT. */
	{{INIT, QEMU}, RUNS},
};

/* A triple fault leaves the pending VMRUN pending in L1, where an NMI or SMI then waits for ever. */
START_TEST(no_outcome_of_an_l1_that_is_stuck)
{
	static const struct poke cases[][MAX_POKES] = {{RUN_PENDING, TRIPLE},
						       {RUN_PENDING, TRIPLE_NMI}};

	for (unsigned i = 0; i < 2; i++) {
		struct judged judged;
		struct vm vm;

		vm_new(&vm);
		vm_poke(&vm, cases[i]);
		vm_judge(&vm, &judged);
		ck_assert_int_eq(nm_rule_bit(judged.broken, NESTMIG_RULE_evt_tf_svm_intercept),
				 i == 0);
		ck_assert_int_eq(nm_rule_bit(judged.unknown, NESTMIG_RULE_evt_tf_svm_intercept),
				 i == 1);
		vm_free(&vm);
	}
}
END_TEST

START_TEST(turn)
{
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	/* No intercepts but what a row says. */
	vm_poke(&vm, (const struct poke[]){PAGE(intercept_word3, 0), {0}});
	vm_poke(&vm, turns[_i].pokes);
	vm_judge(&vm, &judged);
	ck_assert_str_eq(nm_consequences[nm_predict(judged.broken, &judged.ctx, &vm.order)].name,
			 nm_consequences[turns[_i].outcome].name);
	vm_free(&vm);
}
END_TEST

/* Without events or mp_state nothing is said of it. */
START_TEST(turn_of_the_unknown)
{
	static const struct poke pokes[] = {LACK(EVENTS), MP(3), {0}};
	struct judged judged;
	struct vm vm;

	vm_new(&vm);
	vm_poke(&vm, pokes);
	vm_judge(&vm, &judged);
	ck_assert_int_eq(nm_turn(&judged.ctx), NM_CONSEQUENCE_NONE);
	vm_free(&vm);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("turn");
	TCase *tcase = tcase_create("turn");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, no_outcome_of_an_l1_that_is_stuck);
	tcase_add_loop_test(tcase, turn, 0, (int)COUNT(turns));
	tcase_add_test(tcase, turn_of_the_unknown);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
