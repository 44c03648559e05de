/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on the guest state of a VMCS12. Included by predicates.h. */
