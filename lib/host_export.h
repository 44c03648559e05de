/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host profile in the words of what places virtual machines. */
#ifndef NESTMIG_HOST_EXPORT_H
#define NESTMIG_HOST_EXPORT_H

#include "host.h"

/*
 * OpenMetrics text, of gauges only, so that Prometheus's older parsers (the textfile collector of
 * node_exporter) take it too. Errors of all: NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_host_openmetrics(const struct nestmig_host *host,
						       char **ret_text);

/* A feature file of Node Feature Discovery's source "local": a line of feature.node.kubernetes.io/nestmig-...
 * each. */
NESTMIG_CHECKED enum nestmig_error nm_host_nfd(const struct nestmig_host *host, char **ret_text);

/* A provider configuration file of OpenStack Nova, schema 1.0: traits CUSTOM_NESTMIG_... of the compute node. */
NESTMIG_CHECKED enum nestmig_error nm_host_nova(const struct nestmig_host *host, char **ret_text);

/*
 * What nested guests can be given on a host, as 16 hexadecimal digits: hosts of one class have the same vendor,
 * nesting parameters, capabilities of nested state, CPUID features and VMX capabilities. false: too little
 * of it is known.
 */
bool nm_host_class(const struct nestmig_host *host, char ret_class[17]);

#endif
