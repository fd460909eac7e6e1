/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ctl/settings.h"

/*
 * Calls to the aggregator, made synchronous for a command line tool. Replies have passed the
 * pre-scan. Not thread-safe: for the main thread.
 */
struct client;
struct client_stream;

/* Checks the files, starts gRPC; connects with the first call. CLI_OK, or the exit status of a
 * failure that was printed. @settings must outlive it. */
int client_open(const struct settings *settings, struct client **ret_client);
struct client *client_close(struct client *client);

/* From now on SIGINT and SIGTERM end client_stream_next and client_pause instead of the process. */
int client_catch_interrupts(struct client *client);
bool client_is_interrupted(const struct client *client);
/* A new connection: the old one would wait on its own. CLI_OK or printed. No stream may be open. */
int client_reconnect(struct client *client);
/* Waits; true when interrupted. */
bool client_pause(struct client *client, uint64_t ns);

/*
 * One request, one reply (free with protobuf_c_message_free_unpacked). CLI_OK, or the exit status
 * of a failure that was printed with what to try.
 */
int client_call(struct client *client, const char *method, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *reply, void **ret_reply);

/* A server stream. NULL when out of memory. */
struct client_stream *client_stream_open(struct client *client, const char *method,
					 const ProtobufCMessage *request,
					 const ProtobufCMessageDescriptor *reply);
struct client_stream *client_stream_close(struct client_stream *stream);

#define CLIENT_E_END	     1 /* the stream is over: client_stream_status */
#define CLIENT_E_TIMEOUT     2
#define CLIENT_E_INTERRUPTED 3
#define CLIENT_E_BAD_REPLY   4 /* printed; the stream is of no more use */
/* The next message. @deadline_ns of CLOCK_MONOTONIC; 0 = none. */
int client_stream_next(struct client_stream *stream, uint64_t deadline_ns, void **ret_message);
/* gRPC status of a stream that is over. */
int client_stream_status(const struct client_stream *stream);
/* Worth another try: the connection or the server went away. */
bool client_status_is_transient(int status);
/* Prints why the stream ended, with what to try; returns the exit status. */
int client_stream_fail(const struct client_stream *stream);

/* Exit status and sentence for a gRPC status. @reason is what gRPC said of the connection, or "".
 * Pure. */
int client_explain(const struct settings *settings, int status, const char *details,
		   const char *reason, char *ret_text, size_t size);
