/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process: the loop's thread reads packets of the agent on @fd, watches the certificate files
 * and hands both to the gRPC thread (link.h). Returns the exit status: 0 when the agent stopped us
 * or is gone, 1 after an error that was logged.
 */
int uplink_run(int fd);
