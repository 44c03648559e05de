/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Predicates on VM-execution controls. Included by predicates.h. */

static inline enum nestmig_holds rule_vmx_pin_allowed0(const struct nestmig_ctx *c)
{
	return nm_ones(&c->vmx.pin, vmcs12_pin_based_vm_exec_control(c->v->vmcs12));
}

static inline enum nestmig_holds rule_vmx_pin_allowed1(const struct nestmig_ctx *c)
{
	return nm_zeros(&c->vmx.pin, vmcs12_pin_based_vm_exec_control(c->v->vmcs12));
}
