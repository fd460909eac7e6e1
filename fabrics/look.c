/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/look.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fd.h"
#include "core/file.h"

/* "" where there is no such attribute. */
static void look_text(int dir, const char *attribute, char *ret_text, size_t size)
{
	if (file_read_line(dir, attribute, ret_text, size) != 0)
		ret_text[0] = '\0';
}

static bool look_number(int dir, const char *attribute, uint32_t *ret_value)
{
	char text[32], *end;
	unsigned long value;

	look_text(dir, attribute, text, sizeof(text));
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno != 0 || *end != '\0' || value > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* nvme_ctrl_loss_tmo_show: seconds, or "off" (nvmf: max_reconnects -1). */
static void look_loss_timeout(int dir, struct look *look)
{
	char text[32];
	uint32_t seconds;

	look_text(dir, "ctrl_loss_tmo", text, sizeof(text));
	look->has_loss_timeout = true;
	if (strcmp(text, "off") == 0 || text[0] == '-')
		look->ctrl_loss_tmo = LOOK_FOREVER;
	else if (look_number(dir, "ctrl_loss_tmo", &seconds) && seconds <= INT32_MAX)
		look->ctrl_loss_tmo = (int32_t)seconds;
	else
		look->has_loss_timeout = false;
}

static void look_path(int dir, const char *name, struct look *look)
{
	struct look_path path = { 0 };
	char attribute[300];

	snprintf(attribute, sizeof(attribute), "%s/ana_state", name);
	look_text(dir, attribute, path.state, sizeof(path.state));
	if (path.state[0] == '\0')
		return;
	if (look->n_paths == LOOK_MAX_PATHS) {
		look->n_paths_unseen++;
		return;
	}
	snprintf(path.name, sizeof(path.name), "%.*s", LOOK_NAME - 1, name);
	snprintf(attribute, sizeof(attribute), "%s/ana_grpid", name);
	(void)look_number(dir, attribute, &path.group);
	look->paths[look->n_paths++] = path;
}

/* The namespaces' paths are folders below the controller: nvme1c2n1 is subsystem 1, controller 2.
 */
static void look_paths(int dir, struct look *look)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
	struct dirent *entry;

	if (folder == NULL) {
		fd_close(copy);
		return;
	}
	while ((entry = readdir(folder)) != NULL) {
		if (strncmp(entry->d_name, "nvme", 4) == 0)
			look_path(dir, entry->d_name, look);
	}
	closedir(folder);
}

/* "(efault)": the controller has no subsystem yet (seen just after its add event). */
static void look_nqn(int dir, struct look *look)
{
	look_text(dir, "subsysnqn", look->nqn, sizeof(look->nqn));
	if (strncmp(look->nqn, "(", 1) == 0)
		look->nqn[0] = '\0';
}

static void look_attributes(int dir, struct look *look)
{
	char device[32];

	look_text(dir, "transport", look->transport, sizeof(look->transport));
	look_text(dir, "cntrltype", look->cntrltype, sizeof(look->cntrltype));
	look_text(dir, "dev", device, sizeof(device));
	if (sscanf(device, "%u:%u", &look->major, &look->minor) != 2)
		look->major = look->minor = 0;
	look_nqn(dir, look);
	(void)look_number(dir, "cntlid", &look->cntlid);
	(void)look_number(dir, "kato", &look->kato);
	(void)look_number(dir, "reconnect_delay", &look->reconnect_delay);
	look_loss_timeout(dir, look);
	if (strcmp(look->state, "live") == 0)
		look_text(dir, "address", look->address, sizeof(look->address));
	look_paths(dir, look);
}

static int look_open(const char *sysfs_path, const char *name)
{
	char path[512];
	int fd;

	if (snprintf(path, sizeof(path), "%s/class/nvme/%s", sysfs_path, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int look_read(const char *sysfs_path, const char *name, struct look *ret_look)
{
	_cleanup_fd_ int dir = look_open(sysfs_path, name);
	struct stat stat;
	int r;

	if (dir < 0)
		return dir == -ENOENT ? LOOK_E_GONE : dir;
	*ret_look = (struct look){ 0 };
	snprintf(ret_look->name, sizeof(ret_look->name), "%s", name);
	r = file_read_line(dir, "state", ret_look->state, sizeof(ret_look->state));
	if (r == -ENOENT || r == -ENODEV)
		return LOOK_E_GONE;
	if (r < 0)
		return r;
	if (fstat(dir, &stat) < 0)
		return -errno;
	ret_look->inode = stat.st_ino;
	look_attributes(dir, ret_look);
	return 0;
}

/* nvme_pci_get_address writes the address of the function alone, the fabrics KEY=VALUE,... */
static void look_take_address(const char *address, struct tid *tid)
{
	if (strcmp(tid->transport, "pcie") == 0)
		snprintf(tid->traddr, sizeof(tid->traddr), "%.255s", address);
	else
		tid_take_address(address, tid);
}

void look_tid(const char *sysfs_path, const struct look *look, struct tid *ret_tid)
{
	_cleanup_fd_ int dir = look_open(sysfs_path, look->name);
	char address[LOOK_ADDRESS];

	*ret_tid = (struct tid){ 0 };
	snprintf(ret_tid->transport, sizeof(ret_tid->transport), "%s", look->transport);
	snprintf(ret_tid->nqn, sizeof(ret_tid->nqn), "%s", look->nqn);
	ret_tid->discovery =
		strcmp(look->cntrltype, "discovery") == 0 || tid_is_discovery_nqn(look->nqn);
	if (dir < 0)
		return;
	look_text(dir, "hostnqn", ret_tid->host_nqn, sizeof(ret_tid->host_nqn));
	look_text(dir, "address", address, sizeof(address));
	look_take_address(address, ret_tid);
	tid_fill_source_iface(ret_tid);
	tid_normalise(ret_tid);
}

int look_read_state(const char *sysfs_path, const char *name, char ret_state[LOOK_NAME])
{
	_cleanup_fd_ int dir = look_open(sysfs_path, name);
	int r;

	if (dir < 0)
		return dir == -ENOENT ? LOOK_E_GONE : dir;
	r = file_read_line(dir, "state", ret_state, LOOK_NAME);
	return r == -ENOENT || r == -ENODEV ? LOOK_E_GONE : r;
}

bool look_is_same(const char *sysfs_path, const char *name, uint64_t inode)
{
	_cleanup_fd_ int dir = look_open(sysfs_path, name);
	struct stat stat;

	return dir >= 0 && fstat(dir, &stat) == 0 && stat.st_ino == inode;
}

int look_list(const char *sysfs_path, size_t max, char (*ret_names)[LOOK_NAME], size_t *ret_n,
	      size_t *ret_n_unseen)
{
	int fd = look_open(sysfs_path, "");
	struct dirent *entry;
	size_t n = 0, n_unseen = 0;
	DIR *folder;

	*ret_n = *ret_n_unseen = 0;
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	folder = fdopendir(fd);
	if (folder == NULL) {
		fd_close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(folder)) != NULL) {
		if (strncmp(entry->d_name, "nvme", 4) != 0 || strlen(entry->d_name) >= LOOK_NAME)
			continue;
		if (n == max)
			n_unseen++;
		else
			snprintf(ret_names[n++], LOOK_NAME, "%.*s", LOOK_NAME - 1, entry->d_name);
	}
	closedir(folder);
	*ret_n = n;
	*ret_n_unseen = n_unseen;
	return 0;
}
