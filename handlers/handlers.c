/* SPDX-License-Identifier: Apache-2.0 */
#include "handlers/handlers.h"

#include <errno.h>
#include <string.h>

_Static_assert(HANDLERS_N_BUILTIN <= HANDLERS_MAX, "the built-in types fit");

static bool handlers_is_type(const struct handler_type *type)
{
	size_t len;

	if (type == NULL || type->name == NULL || type->error == NULL)
		return false;
	len = strlen(type->name);
	return len > 0 && len <= HANDLERS_NAME_MAX && strpbrk(type->name, " \t\n") == NULL;
}

static int handlers_find(const struct handlers *handlers, const char *name)
{
	for (int i = 0; i < HANDLERS_MAX; i++) {
		if (handlers->slots[i].type != NULL &&
		    strcmp(handlers->slots[i].type->name, name) == 0)
			return i;
	}
	return -1;
}

/* Two types of one name are two types: the address counts. */
static int handlers_find_type(const struct handlers *handlers, const struct handler_type *type)
{
	for (int i = 0; i < HANDLERS_MAX; i++) {
		if (type != NULL && handlers->slots[i].type == type)
			return i;
	}
	return -1;
}

void handlers_init(struct handlers *handlers)
{
	*handlers = (struct handlers){ 0 };
	for (size_t i = 0; i < HANDLERS_N_BUILTIN; i++)
		handlers->slots[i].type = handlers_builtins[i];
}

int handlers_register(struct handlers *handlers, const struct handler_type *type)
{
	if (!handlers_is_type(type))
		return -EINVAL;
	if (handlers_find(handlers, type->name) >= 0)
		return -EEXIST;
	for (int i = 0; i < HANDLERS_MAX; i++) {
		if (handlers->slots[i].type != NULL)
			continue;
		handlers->slots[i].type = type;
		handlers->slots[i].n_uses = 0;
		return 0;
	}
	return -ENOSPC;
}

int handlers_unregister(struct handlers *handlers, const struct handler_type *type)
{
	int i = handlers_find_type(handlers, type);

	if (i < 0)
		return -EINVAL;
	if (handlers->slots[i].n_uses > 0)
		return -ETXTBSY;
	handlers->slots[i].type = NULL;
	return 0;
}

const struct handler_type *handlers_get(struct handlers *handlers, const char *name)
{
	int i = handlers_find(handlers, name);

	if (i < 0)
		return NULL;
	handlers->slots[i].n_uses++;
	return handlers->slots[i].type;
}

int handlers_put(struct handlers *handlers, const struct handler_type *type)
{
	int i = handlers_find_type(handlers, type);

	if (type == NULL)
		return 0;
	if (i < 0 || handlers->slots[i].n_uses == 0)
		return -EINVAL;
	handlers->slots[i].n_uses--;
	return 0;
}

unsigned handlers_uses(const struct handlers *handlers, const char *name)
{
	int i = handlers_find(handlers, name);

	return i < 0 ? 0 : handlers->slots[i].n_uses;
}

const struct handler_type *handlers_builtin(const char *name)
{
	for (size_t i = 0; i + 1 < HANDLERS_N_BUILTIN; i++) {
		if (strcmp(handlers_builtins[i]->name, name) == 0)
			return handlers_builtins[i];
	}
	return handlers_builtins[HANDLERS_N_BUILTIN - 1];
}
