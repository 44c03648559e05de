/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The nestmig snapshot: a compressed migration stream, the vCPU structs it lacks, checksums over
 * everything. formats/nms.md specifies the file.
 *
 * Writing: nm_nms_writer_new, _add_source, _add_vcpu and _add_record, _add_stream, _finish_stream,
 * _commit, _free. Reading into a state: nm_nms_read. Restoring: nm_nms_open, nm_nms_stream_to_fd.
 */
#ifndef NESTMIG_NMS_H
#define NESTMIG_NMS_H

#include "state.h"

/* The first bytes of every .nms file. */
#define NM_NMS_MAGIC      "\x8eNMS\r\n\x1a\n"
#define NM_NMS_MAGIC_SIZE 8

/* zstd's levels: lower is faster. On guest RAM, 1 gives most of the gain. */
#define NM_NMS_LEVEL_MIN     1
#define NM_NMS_LEVEL_MAX     19
#define NM_NMS_LEVEL_DEFAULT 1

/* Record types (nms.md, 3). */
#define NM_NMS_SOURCE       UINT32_C(0x00000001)
#define NM_NMS_HOST         UINT32_C(0x80000002)
#define NM_NMS_NESTED_STATE UINT32_C(0x00000010)
#define NM_NMS_SREGS        UINT32_C(0x00000011)
#define NM_NMS_SREGS2       UINT32_C(0x00000012)
#define NM_NMS_REGS         UINT32_C(0x00000013)
#define NM_NMS_VCPU_EVENTS  UINT32_C(0x00000014)
#define NM_NMS_DEBUGREGS    UINT32_C(0x00000015)
#define NM_NMS_MP_STATE     UINT32_C(0x00000016)
#define NM_NMS_MSRS         UINT32_C(0x00000017)
#define NM_NMS_CPUID        UINT32_C(0x00000018)
#define NM_NMS_STREAM_CHUNK UINT32_C(0x00000020)
#define NM_NMS_STREAM_END   UINT32_C(0x00000021)
#define NM_NMS_END          UINT32_C(0x0000007f)

#define NM_NMS_OPTIONAL     UINT32_C(0x80000000) /* the bit of types that may be skipped */

/*
 * For fuzz targets only, beside NESTMIG_READ_* flags: checksums are not compared, so that a fuzzer
 * gets past them. Never to be taken from a caller of the library.
 */
#define NM_NMS_NO_CHECKSUM 0x40000000U

/* The type of the record that holds a KVM struct; 0 for a kind that has none. */
uint32_t nm_nms_type_of(enum nm_kvm_struct kind);

enum nm_nms_kind { NM_NMS_FULL, NM_NMS_STATE_ONLY };

/* What the SOURCE record says. Texts are borrowed: on writing from the caller for the time of the
 * call, on reading from the struct nm_nms. */
struct nm_nms_info {
	enum nm_nms_kind kind;
	enum nestmig_vendor vendor; /* unknown: not said */
	const char *tool;           /* version of the program that wrote the file */
	const char *time;           /* when the state was taken, RFC 3339 */
	const char *qemu;           /* QEMU's version, or NULL */
	const char *machine;        /* machine type name, or NULL */
	const char *run_state;      /* QEMU's run state before the snapshot, or NULL */
};

/* ---- Writing --------------------------------------------------------------------------------- */

struct nm_nms_writer;

/* How far a writer has come. */
struct nm_nms_progress {
	uint64_t stream_bytes; /* taken from the caller of nm_nms_writer_add_stream */
	uint64_t file_bytes;   /* written to the file */
	uint64_t chunks;       /* stream chunks written */
};

/*
 * Starts a snapshot that will appear as path, mode 0600, when it is committed, and not before. The
 * directory must exist and be readable and writable. path may be there already as a regular file,
 * to be replaced; anything else is refused, also a symbolic link. level is zstd's,
 * NM_NMS_LEVEL_MIN to _MAX.
 *
 * A file size limit of the process (RLIMIT_FSIZE) sends SIGXFSZ: a program that wants an error
 * instead must ignore that signal.
 *
 * Errors: IO, INVALID (level, path is not a regular file), NOMEM.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_new(const char *path, int level,
						     struct nm_nms_writer **ret_writer,
						     struct nestmig_detail *detail);

/* Frees a writer. Unless it was committed, nothing is left of the new file, and a file of that name
 * is as it was before. */
void nm_nms_writer_free(struct nm_nms_writer *writer);

/*
 * The functions from here to _commit: once one has failed, every further one fails with the same
 * error, but for those marked *, which refuse a wrong argument and leave the writer usable.
 * Errors: IO (no space and the like), NOMEM, and INVALID for what nms.md does not allow.
 */

/* The SOURCE record; must come first. tool and time are required. * */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_add_source(struct nm_nms_writer *writer,
							    const struct nm_nms_info *info,
							    struct nestmig_detail *detail);

/* A HOST or vCPU record, or one of an unknown optional type. vCPU records ascend by vCPU, then by
 * type. index is the vCPU (QEMU's cpu-index) or 0. Also LIMIT: length. * */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_add_record(struct nm_nms_writer *writer,
							    uint32_t type, uint32_t index,
							    const void *bytes, size_t length,
							    struct nestmig_detail *detail);

/* The same for a KVM struct, as a raw dump holds it. * */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_add_vcpu(struct nm_nms_writer *writer, uint32_t id,
							  enum nm_kvm_struct kind,
							  const void *bytes, size_t length,
							  struct nestmig_detail *detail);

/* The next bytes of the migration stream, any number of them. Writes a chunk whenever one is full.
 * Also LIMIT: the stream is longer than 16 TiB. */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_add_stream(struct nm_nms_writer *writer,
							    const void *bytes, size_t length,
							    struct nestmig_detail *detail);

/* The stream is complete. */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_finish_stream(struct nm_nms_writer *writer,
							       struct nestmig_detail *detail);

/*
 * Writes END, syncs the file, gives it its name (replacing a file that has it), syncs the
 * directory. On failure the name is as it was before, with one exception that the text tells: the
 * directory could not be synced.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_writer_commit(struct nm_nms_writer *writer,
							struct nestmig_detail *detail);

/* Valid until the writer is freed. */
const struct nm_nms_progress *nm_nms_writer_progress(const struct nm_nms_writer *writer);

/* ---- Reading --------------------------------------------------------------------------------- */

/* Do the first bytes of a file look like a snapshot's, be it one that was damaged in a transfer? */
bool nm_nms_recognise(const uint8_t *head, size_t size);

/*
 * Reads the snapshot in source, which is one of state's, into state: the vCPUs from the stream
 * inside, what it lacks from the vCPU records; state->stream, a source over the uncompressed
 * stream; format, host, machine and vendor. flags: NESTMIG_READ_SKIP_RAM_CHECKSUM.
 *
 * Errors: IO, NOMEM, and those of nms.md (TRUNCATED, CHECKSUM, FORMAT, UNSUPPORTED, LIMIT), always
 * with the offset in the .nms file.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_read(struct nestmig_state *state,
					       struct nm_source *source, unsigned flags,
					       struct nestmig_detail *detail);

/* An opened snapshot: all records are known and checked, no payload is in memory. */
struct nm_nms;

/* A record other than STREAM_CHUNK. Offsets from the start of the file, in bytes. */
struct nm_nms_record {
	uint32_t type, index;
	uint64_t offset; /* of the record's header */
	uint64_t payload_offset;
	uint64_t length; /* of the payload */
};

/*
 * Walks all records and checks them as nms.md, 5 says; flags as nm_nms_read. source stays the
 * caller's and must outlive what is returned. To restore exactly the file that was judged, give it
 * state->sources[0] of a state read from an .nms.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_open(struct nm_source *source, unsigned flags,
					       struct nm_nms **ret_nms,
					       struct nestmig_detail *detail);

void nm_nms_free(struct nm_nms *nms);

const struct nm_nms_info *nm_nms_info(const struct nm_nms *nms);

/* Major and minor version of the file, and its creation time in ns since 1970. */
void nm_nms_version(const struct nm_nms *nms, unsigned *ret_major, unsigned *ret_minor);
uint64_t nm_nms_created(const struct nm_nms *nms);

/* Records in file order, without the stream's chunks; unknown optional ones are among them. */
size_t nm_nms_record_count(const struct nm_nms *nms);
const struct nm_nms_record *nm_nms_record(const struct nm_nms *nms, size_t i);

bool nm_nms_has_stream(const struct nm_nms *nms);
size_t nm_nms_chunk_count(const struct nm_nms *nms);
uint64_t nm_nms_stream_size(const struct nm_nms *nms); /* uncompressed; 0 without a stream */

/*
 * A source over the uncompressed stream. Reads decompress what they need, and keep the last few
 * chunks. Takes nms over, also on failure; it lives as long as the source. Errors: INVALID (no
 * stream), NOMEM. Those of reading carry offsets in the .nms file.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_stream_source(struct nm_nms *nms,
							struct nm_source **ret_source,
							struct nestmig_detail *detail);

/* Receives the next bytes of the uncompressed stream, which starts at offset 0 with the first call.
 * An error ends the iteration and is returned from it. */
typedef enum nestmig_error (*nm_nms_sink)(void *ctx, uint64_t offset, const uint8_t *bytes,
					  size_t length, struct nestmig_detail *detail);

/*
 * Gives the whole uncompressed stream to sink, a chunk a time, in order, in bounded memory. Every
 * checksum is verified, whatever the flags of nm_nms_open were; the last chunk is held back until
 * the checksum over the whole stream has been verified too. Errors: INVALID (no stream), those of
 * reading, and those of sink.
 */
NESTMIG_CHECKED enum nestmig_error nm_nms_stream_each(struct nm_nms *nms, nm_nms_sink sink,
						      void *ctx, struct nestmig_detail *detail);

/* The same into a file descriptor; one that does not block. A closed pipe sends SIGPIPE unless the
 * program ignores it. */
NESTMIG_CHECKED enum nestmig_error nm_nms_stream_to_fd(struct nm_nms *nms, int fd,
						       struct nestmig_detail *detail);

#endif
