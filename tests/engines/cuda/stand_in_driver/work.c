// A stand-in for the CUDA driver on host memory: streams.
//
// Nothing that is queued runs before somebody waits for it, and then only the stream that is waited
// for. A missing synchronisation shows as a wrong result.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPERATIONS 65536
enum { STREAM = 0x53545245 };

struct Stream { int magic; unsigned flags; };

// In the order of their queueing, of all streams.
static struct Operation operations[MAX_OPERATIONS];
static int num_operations;

static void run_one(struct Operation *operation) {
  operation->done = 1;
  if (sticky) return;
  if (operation->what == KERNEL) {
    sticky = run_kernel(&operation->launch);
    return;
  }
  void *device = host_pointer(operation->device, operation->num_bytes);
  if (!device) sticky = ILLEGAL_ADDRESS;
  else if (operation->what == COPY_IN) memcpy(device, operation->host, operation->num_bytes);
  else memcpy(operation->host, device, operation->num_bytes);
}

static void run(struct Stream *stream) {
  for (int i = 0; i < num_operations; i++)
    if (!operations[i].done && (!stream || operations[i].stream == stream)) run_one(&operations[i]);
}

void run_everything(void) { run(NULL); }

static int is_stream(struct Stream *stream) { return stream && stream->magic == STREAM; }

Result queue(struct Stream *stream, struct Operation operation) {
  if (!is_stream(stream)) return INVALID_HANDLE;
  operation.stream = stream;
  if (num_operations == MAX_OPERATIONS) abort();
  operations[num_operations++] = operation;
  return SUCCESS;
}

static Result copy(struct Stream *stream, struct Operation operation) {
  if (!is_stream(stream)) return INVALID_HANDLE;
  if (!host_pointer(operation.device, operation.num_bytes)) return INVALID_VALUE;
  if (is_pinned(operation.host, operation.num_bytes)) return queue(stream, operation);
  // Pageable memory: read before the call returns, and written before it returns.
  if (operation.what == COPY_IN) {
    void *staged = malloc(operation.num_bytes);
    operation.host = memcpy(staged, operation.host, operation.num_bytes);
    return queue(stream, operation);
  }
  Result code = queue(stream, operation);
  run(stream);
  return code ? code : sticky;
}

Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t num_bytes, struct Stream *stream) {
  ENTER_CONTEXT(cuMemcpyHtoDAsync);
  return copy(stream, (struct Operation){COPY_IN, (void *)from, to, num_bytes});
}

Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t num_bytes, struct Stream *stream) {
  ENTER_CONTEXT(cuMemcpyDtoHAsync);
  return copy(stream, (struct Operation){COPY_OUT, to, from, num_bytes});
}

Result cuStreamCreate(struct Stream **stream, unsigned flags) {
  ENTER_CONTEXT(cuStreamCreate);
  if (flags > 1) return INVALID_VALUE;
  *(*stream = calloc(1, sizeof **stream)) = (struct Stream){STREAM, flags};
  alive[STREAMS]++;
  return SUCCESS;
}

Result cuStreamDestroy_v2(struct Stream *stream) {
  ENTER_CONTEXT(cuStreamDestroy);
  if (!is_stream(stream)) return INVALID_HANDLE;
  run(stream);
  stream->magic = 0;
  alive[STREAMS]--;
  return SUCCESS;
}

Result cuStreamGetFlags(struct Stream *stream, unsigned *flags) {
  ENTER_CONTEXT(cuStreamGetFlags);
  if (!is_stream(stream)) return INVALID_HANDLE;
  *flags = stream->flags;
  return SUCCESS;
}

Result cuStreamSynchronize(struct Stream *stream) {
  ENTER_CONTEXT(cuStreamSynchronize);
  if (!is_stream(stream)) return INVALID_HANDLE;
  run(stream);
  return sticky;
}

#define NAME(function) {#function, function}
const struct Name work_names[] = {
  {"cuMemcpyHtoDAsync", cuMemcpyHtoDAsync_v2}, {"cuMemcpyDtoHAsync", cuMemcpyDtoHAsync_v2},
  NAME(cuStreamCreate), {"cuStreamDestroy", cuStreamDestroy_v2}, NAME(cuStreamGetFlags),
  NAME(cuStreamSynchronize), {NULL, NULL},
};
