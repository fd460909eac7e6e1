/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What sysfs says about one block device: the reading half of topology. Every text is cut to its
 * array, made printable ASCII or UTF-8 as the kernel gives it, without outer blanks; "" = unknown.
 */
#define SYSFS_TEXT	  256
#define SYSFS_NAME	  64
#define SYSFS_MAX_LINKS	  16
#define SYSFS_MAX_DEVICES 16384 /* in one walk over all disks */

enum sysfs_type { SYSFS_DISK, SYSFS_PARTITION, SYSFS_MULTIPATH_MAP, SYSFS_NVME_NAMESPACE };

struct sysfs_links {
	size_t n_names;
	char names[SYSFS_MAX_LINKS][SYSFS_TEXT];
};

struct sysfs_device {
	enum sysfs_type type;
	uint32_t major, minor;
	char name[SYSFS_NAME]; /* kernel name */
	char path[SYSFS_TEXT]; /* folder below the sysfs root: devices/.../block/sda */
	uint32_t partition;    /* number; 0 = not one */
	uint64_t diskseq;      /* 0 = kernel before 5.15 */
	char id[SYSFS_TEXT];   /* the stable identity, as Subject.id */
	char wwid[SYSFS_TEXT], serial[SYSFS_TEXT], model[SYSFS_TEXT], vendor[SYSFS_TEXT];
	char firmware[SYSFS_TEXT], nqn[SYSFS_TEXT], transport_address[SYSFS_TEXT];
	char bus_address[SYSFS_NAME]; /* SCSI H:C:T:L or PCI address */
	char dm_name[SYSFS_TEXT], uuid[SYSFS_TEXT];
	struct sysfs_links holders; /* kernel name, and after it the dm name where there is one */
	struct sysfs_links
		parents; /* disk of a partition, slaves of a map, backing file of a loop device */
};

/* 0; -ENOENT: no such device; -errno. @sysfs_path is "/sys". */
int sysfs_read_device(const char *sysfs_path, uint32_t major, uint32_t minor,
		      struct sysfs_device *ret_device);
/* The cheap question: which DISKSEQ has this device number now? 0 or -errno (-ENOENT: gone). */
int sysfs_read_generation(const char *sysfs_path, uint32_t major, uint32_t minor,
			  uint64_t *ret_generation);
/* Calls @visit for every entry of class/block in any order until it returns non-zero, and returns
 * that; 0, -errno. */
int sysfs_walk(const char *sysfs_path,
	       int (*visit)(void *data, const char *name, uint32_t major, uint32_t minor),
	       void *data);

/* Pure parts. */
/* "8:16" */
bool sysfs_parse_devt(const char *text, uint32_t *ret_major, uint32_t *ret_minor);
/* Fills id from the other fields, best first: wwid, dm uuid, serial, device number. */
void sysfs_make_id(struct sysfs_device *device, const char *parent_id);
/* Replaces what is not UTF-8 or is a control character by '?', cuts blanks at both ends. */
void sysfs_clean(char *text);
