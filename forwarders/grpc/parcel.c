/* SPDX-License-Identifier: Apache-2.0 */
#include "parcel.h"

#include <pthread.h>
#include <stdlib.h>

#include "forwarders/frame/frame.h"

#define PARCEL_POOL 8

static pthread_mutex_t parcel_lock = PTHREAD_MUTEX_INITIALIZER;
static struct parcel *parcel_pool;
static size_t parcel_n_pool;

struct parcel *parcel_new(size_t capacity)
{
	struct parcel *parcel = NULL;

	if (capacity == FRAME_MAX) {
		pthread_mutex_lock(&parcel_lock);
		parcel = parcel_pool;
		if (parcel) {
			parcel_pool = parcel->next;
			parcel_n_pool--;
		}
		pthread_mutex_unlock(&parcel_lock);
	}
	if (!parcel)
		parcel = malloc(sizeof(*parcel) + capacity);
	if (!parcel)
		return NULL;
	parcel->next = NULL;
	parcel->pending = NULL;
	parcel->size = 0;
	parcel->capacity = capacity;
	return parcel;
}

void parcel_free(struct parcel *parcel)
{
	if (!parcel)
		return;
	if (parcel->pending)
		atomic_fetch_sub_explicit(parcel->pending, parcel->size, memory_order_relaxed);
	if (parcel->capacity == FRAME_MAX) {
		pthread_mutex_lock(&parcel_lock);
		if (parcel_n_pool < PARCEL_POOL) {
			parcel->next = parcel_pool;
			parcel_pool = parcel;
			parcel_n_pool++;
			parcel = NULL;
		}
		pthread_mutex_unlock(&parcel_lock);
	}
	free(parcel);
}

void parcel_drain(void)
{
	struct parcel *parcel;

	pthread_mutex_lock(&parcel_lock);
	while ((parcel = parcel_pool)) {
		parcel_pool = parcel->next;
		free(parcel);
	}
	parcel_n_pool = 0;
	pthread_mutex_unlock(&parcel_lock);
}
