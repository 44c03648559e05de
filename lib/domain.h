/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libvirt's XML says of a VM: the domain itself, or the cookie of a save image, which holds the CPU as
 * it was running (libvirt docs/formatdomain.rst, "CPU model and topology").
 */
#ifndef NESTMIG_DOMAIN_H
#define NESTMIG_DOMAIN_H

#include "nestmig.h"

struct nm_domain_feature {
	char *policy, *name; /* either may be NULL */
};

/* Texts are owned, as they stand in the XML, and NULL if they are not there; numbers are 0 then. */
struct nm_domain {
	char *type, *name, *uuid, *arch, *machine;
	uint64_t memory_kib;
	bool has_max_memory, has_pcihole64;
	unsigned cells; /* of NUMA */
	unsigned vcpus;
	unsigned cpus; /* elements <cpu>; more than one is a lie */
	char *cpu_mode, *cpu_match, *cpu_check, *cpu_model, *cpu_vendor;
	unsigned maxphysaddrs; /* the same of <maxphysaddr> */
	char *maxphysaddr_mode;
	unsigned maxphysaddr_bits, maxphysaddr_limit;
	struct nm_domain_feature *features; /* owned */
	size_t feature_count;
};

/*
 * Reads a document whose root is <domain> or <cookie>; what is of no interest is skipped.
 * Errors: FORMAT (no XML, another root, a document type: libvirt writes none, and entities could grow without
 * bound), LIMIT (nested more than 64 deep, more than 4096 features), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_domain_parse(const char *xml, struct nm_domain **ret_domain,
						   struct nestmig_detail *detail);

void nm_domain_free(struct nm_domain *domain);

/*
 * The width of physical addresses that the guest has wherever libvirt restores it, in bits, or 0 if that is not
 * certain: only where <maxphysaddr mode='emulate'> says it. The cookie's CPU is the one that libvirt
 * uses; where the domain's contradicts it, nothing is certain. Without the element QEMU's default counts,
 * which differs between machine types of distributions. Either may be NULL.
 */
unsigned nm_domain_phys_bits(const struct nm_domain *domain, const struct nm_domain *cookie);

/* The policy of a CPU feature ("require", "disable", ...), or NULL if it is not named. */
const char *nm_domain_feature(const struct nm_domain *domain, const char *name);

#endif
