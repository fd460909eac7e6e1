/* SPDX-License-Identifier: Apache-2.0 */
#include "trim.h"

#include <malloc.h>

#include "parcel.h"

void trim_memory(void)
{
	parcel_drain();
	malloc_trim(0);
}
