/* connect/file - the file source; see file.c for what it does on rotation and truncation. */
#ifndef WEIR_CONNECT_FILE_FILE_H
#define WEIR_CONNECT_FILE_FILE_H

#include "connect/connect.h"

extern const connect_source connect_file_source;

#endif
