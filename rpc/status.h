/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* gRPC status codes, the ones we use (same numbers). */
enum rpc_status {
	RPC_OK = 0,
	RPC_CANCELLED = 1,
	RPC_UNKNOWN = 2,
	RPC_INVALID_ARGUMENT = 3,
	RPC_DEADLINE_EXCEEDED = 4,
	RPC_NOT_FOUND = 5,
	RPC_ALREADY_EXISTS = 6,
	RPC_PERMISSION_DENIED = 7,
	RPC_RESOURCE_EXHAUSTED = 8,
	RPC_FAILED_PRECONDITION = 9,
	RPC_ABORTED = 10,
	RPC_OUT_OF_RANGE = 11,
	RPC_UNIMPLEMENTED = 12,
	RPC_INTERNAL = 13,
	RPC_UNAVAILABLE = 14,
	RPC_DATA_LOSS = 15,
	RPC_UNAUTHENTICATED = 16,
};
const char *rpc_status_name(int status);

/* Why a call failed, from its status and details; UNAVAILABLE has no reason but its text. Pure. */
enum rpc_failure {
	RPC_FAILURE_NONE,
	RPC_FAILURE_REFUSED,
	RPC_FAILURE_TIMEOUT,
	RPC_FAILURE_TLS,
	RPC_FAILURE_AUTH,
	RPC_FAILURE_PROTOCOL,
	RPC_FAILURE_BUSY,
	RPC_FAILURE_LOST, /* lost: the connection broke without a reason */
};
enum rpc_failure rpc_classify_failure(int status, const char *details);
const char *rpc_failure_name(
	enum rpc_failure failure); /* refused, timeout, ... as in frame_session_state.cause */
