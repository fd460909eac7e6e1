/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/log.h"
#include "forwarders/frame/frame.h"
#include "sandbox.h"
#include "uplink.h"

#define MAIN_USAGE 64 /* EX_USAGE of sysexits.h */

#if defined(__SANITIZE_ADDRESS__)
/* The leak checker stops all threads with ptrace, which the sandbox kills. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

static int main_help(void)
{
	puts("Usage: pathbell-uplink [--help | --version]\n"
	     "\n"
	     "Forwards events of this host to a Pathbell aggregator over mutual TLS. It is started "
	     "by\n"
	     "pathbelld with a SOCK_SEQPACKET socket as descriptor 3 and takes its configuration "
	     "from there.");
	return 0;
}

static bool main_is_started_by_agent(void)
{
	int type = 0, domain = 0;
	socklen_t size = sizeof(type);

	if (getsockopt(FRAME_FD, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
		return false;
	size = sizeof(domain);
	return getsockopt(FRAME_FD, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	       domain == AF_UNIX;
}

int main(int argc, char **argv)
{
	struct errmsg err = { .line = 0 };

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return main_help();
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("pathbell-uplink " PATHBELL_VERSION);
		return 0;
	}
	if (argc != 1) {
		fprintf(stderr, "pathbell-uplink: no arguments are taken (try --help)\n");
		return MAIN_USAGE;
	}
	log_open("pathbell-uplink", LOG_LEVEL_INFO);
	if (!main_is_started_by_agent()) {
		fprintf(stderr,
			"pathbell-uplink: descriptor %d is no SOCK_SEQPACKET socket: "
			"this program is started by pathbelld\n",
			FRAME_FD);
		return MAIN_USAGE;
	}
	mallopt(M_ARENA_MAX, 1); /* gRPC starts a thread for each CPU */
	if (sandbox_enter(&err) < 0) {
		log_error("%s", err.text);
		return 1;
	}
	return uplink_run(FRAME_FD);
}
