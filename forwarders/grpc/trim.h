/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gives memory that an idle process does not need back to the kernel. */
void trim_memory(void);
