/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's own log, taken over: into core/log with a limit for each place that writes, and, while a
 * server binds, into a buffer, because the reason of a failed bind is given nowhere else.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <grpc/support/log.h>

#include "rpc/internal.h"

#define RPC_LOG_PLACES 16

static pthread_mutex_t rpc_log_lock = PTHREAD_MUTEX_INITIALIZER; /* log_limit is for one thread */
static struct log_limit rpc_log_limits[RPC_LOG_PLACES];

static _Thread_local struct {
	char *text; /* capture */
	size_t size;
} rpc_log_local;

static void rpc_log_keep(const char *message)
{
	size_t len;

	if (rpc_log_local.text) {
		len = strlen(rpc_log_local.text);
		snprintf(rpc_log_local.text + len, rpc_log_local.size - len, "%s\n", message);
	}
}

static void rpc_log_message(gpr_log_func_args *args)
{
	const char *file = strrchr(args->file, '/');
	unsigned place = (unsigned)args->line % RPC_LOG_PLACES;

	rpc_log_keep(args->message);
	if (rpc_log_local.text)
		return; /* the caller reports it */
	pthread_mutex_lock(&rpc_log_lock);
	log_limited(&rpc_log_limits[place], LOG_LEVEL_WARNING, "gRPC says: %.300s place=%s:%d",
		    args->message, file ? file + 1 : args->file, args->line);
	pthread_mutex_unlock(&rpc_log_lock);
}

void rpc_log_install(void)
{
	gpr_set_log_function(rpc_log_message);
	gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
}

void rpc_log_capture(char *text, size_t size)
{
	rpc_log_local.text = text;
	rpc_log_local.size = size;
}
