/* server/page - the first page, page.html as it stands, put into the program while building (page.cmake). */
#ifndef WEIR_SERVER_PAGE_H
#define WEIR_SERVER_PAGE_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t server_page[];
extern const size_t server_page_bytes;

#endif
