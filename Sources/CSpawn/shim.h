#pragma once
#include <spawn.h>

// glibc declares these only with _GNU_SOURCE, which Swift's importer doesn't set.
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *, const char *);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);
enum { SPAWN_SETSID = 0x80 };
int renameat2(int, const char *, int, const char *, unsigned int);
enum { RENAME_EXCHANGE = 2 };
