/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration is read in four steps: every file becomes a tree (config_tree), the target gets
 * its defaults, each tree is applied over it in order (config_apply), and what is required is
 * looked for in all of them. Each file is checked whole, also where a later one overrides what it
 * says. Any failure frees the target: a caller that reloads builds a second struct and swaps.
 */
#include "core/config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_apply.h"
#include "core/config_tree.h"
#include "core/file.h"
#include "core/log.h"

#define CONFIG_MAX_DROP_INS 64

struct config_files {
	char *names[1 + CONFIG_MAX_DROP_INS];
	struct config_node *roots[1 + CONFIG_MAX_DROP_INS];
	size_t n_files;
};

static int config_build(const struct config_table *table, const struct config_files *files,
			void *ret_target, struct errmsg *err)
{
	int r = config_apply_defaults(table, ret_target, err);

	for (size_t i = 0; i < files->n_files && r == 0; i++)
		r = config_apply_tree(table, files->names[i], files->roots[i], ret_target, err);
	if (r == 0)
		r = config_apply_check_required(table, files->names[0],
						(const struct config_node *const *)files->roots,
						files->n_files, err);
	if (r != 0)
		config_free(table, ret_target);
	return r;
}

static int config_files_add(struct config_files *files, const char *path, struct errmsg *err)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = file_read(path, CONFIG_TREE_MAX_BYTES, &text, &size);

	if (r == -EFBIG) {
		errmsg_at(err, path, 1, 1, "file is larger than 1 MiB");
		return CONFIG_E_INVALID;
	}
	if (r < 0) {
		errmsg_at(err, path, 0, 0, "cannot read: %s", log_errno(r));
		return r;
	}
	files->names[files->n_files] = strdup(path);
	if (!files->names[files->n_files]) {
		errmsg_at(err, path, 0, 0, "out of memory");
		return -ENOMEM;
	}
	/* Counted at once: the name is freed with the rest also where the document is bad. */
	return config_tree_parse(path, text, size, &files->roots[files->n_files++], err);
}

static void config_files_deinit(struct config_files *files)
{
	for (size_t i = 0; i < files->n_files; i++) {
		config_tree_free(files->roots[i]);
		free(files->names[i]);
	}
}

static int config_is_drop_in(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

/* Byte order, the same in every locale. */
static int config_compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int config_add_drop_in(struct config_files *files, const char *folder, const char *name,
			      struct errmsg *err)
{
	_cleanup_free_ char *path = NULL;

	if (files->n_files > CONFIG_MAX_DROP_INS) {
		errmsg_at(err, folder, 0, 0, "more than %d files", CONFIG_MAX_DROP_INS);
		return CONFIG_E_INVALID;
	}
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		errmsg_at(err, folder, 0, 0, "out of memory");
		return -ENOMEM;
	}
	return config_files_add(files, path, err);
}

static int config_files_add_folder(struct config_files *files, const char *path, struct errmsg *err)
{
	_cleanup_free_ char *folder = NULL;
	struct dirent **entries = NULL;
	int n, r = 0;

	if (asprintf(&folder, "%s.d", path) < 0) {
		folder = NULL;
		errmsg_at(err, path, 0, 0, "out of memory");
		return -ENOMEM;
	}
	n = scandir(folder, &entries, config_is_drop_in, config_compare_names);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0) {
		r = -errno;
		errmsg_at(err, folder, 0, 0, "cannot read: %s", log_errno(r));
		return r;
	}
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = config_add_drop_in(files, folder, entries[i]->d_name, err);
		free(entries[i]);
	}
	free(entries);
	return r;
}

int config_load(const struct config_table *table, const char *path, void *ret_target,
		struct errmsg *err)
{
	struct config_files files = { 0 };
	int r = config_files_add(&files, path, err);

	if (r == 0)
		r = config_files_add_folder(&files, path, err);
	if (r == 0)
		r = config_build(table, &files, ret_target, err);
	else
		memset(ret_target, 0, table->size);
	config_files_deinit(&files);
	return r;
}

int config_parse(const struct config_table *table, const char *name, const char *text,
		 size_t text_len, void *ret_target, struct errmsg *err)
{
	struct config_files files = { .names = { (char *)name }, .n_files = 1 };
	int r = config_tree_parse(name, text, text_len, &files.roots[0], err);

	if (r == 0)
		r = config_build(table, &files, ret_target, err);
	else
		memset(ret_target, 0, table->size);
	config_tree_free(files.roots[0]);
	return r;
}

void config_defaults(const struct config_table *table, void *ret_target)
{
	if (config_apply_defaults(table, ret_target, NULL) != 0)
		config_free(table, ret_target);
}
