/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling struct nestmig_detail. */
#ifndef NESTMIG_INTERNAL_ERROR_H
#define NESTMIG_INTERNAL_ERROR_H

#include "nestmig.h"

/* Each fills detail (if not NULL) and returns error, so that a caller can `return nm_fail(...)`. */
__attribute__((format(printf, 3, 4))) enum nestmig_error
nm_fail(struct nestmig_detail *detail, enum nestmig_error error, const char *format, ...);

/* The same with the byte offset in the file at which it went wrong. */
__attribute__((format(printf, 4, 5))) enum nestmig_error nm_fail_at(struct nestmig_detail *detail,
								    enum nestmig_error error,
								    uint64_t offset,
								    const char *format, ...);

/* A failed system call: appends strerror(errno) to the text. */
__attribute__((format(printf, 2, 3))) enum nestmig_error
nm_fail_errno(struct nestmig_detail *detail, const char *format, ...);

/* The bytes of the UTF-8 character at text that may go to a terminal as they are; 0 if it may not: controls of
 * ASCII and C1, what turns the direction of text, what is no UTF-8. */
size_t nm_printable_length(const char *text);

/* Puts '?' for every byte of text that is no part of such a character: also of one that was cut in the middle. */
void nm_make_printable(char *text);

/* Puts '*' for the password of every URI SCHEME://USER:PASSWORD@HOST in text (RFC 3986, 3.2.1). */
void nm_hide_passwords(char *text);

#endif
