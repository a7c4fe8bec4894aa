// A stand-in for the CUDA driver on host memory: streams, events and graphs.
//
// Nothing that is queued runs before somebody waits for it, and then only the stream that is waited
// for, with the events it waits for itself. A missing synchronisation shows as a wrong result.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPERATIONS 65536
#define MAX_RECORDED 64
enum { STREAM = 0x53545245, EVENT = 0x45564E54, GRAPH = 0x47524150, EXECUTABLE = 0x45584543 };

struct Graph { int magic, num_operations, valid; struct Operation operations[MAX_RECORDED]; };
struct Stream { int magic; unsigned flags; struct Graph *recording; };
struct Event { int magic, index; struct Stream *stream; double milliseconds; };

// In the order of their queueing, of all streams.
static struct Operation operations[MAX_OPERATIONS];
static int num_operations;
static double clock_milliseconds;
static struct Graph *recording;

static void run(struct Stream *stream, int last);

static void run_one(struct Operation *operation) {
  void *device = NULL;
  operation->done = 1;
  if (operation->what == WAIT) run(operation->other, operation->index);
  if (sticky) return;
  if (operation->what == KERNEL) sticky = run_kernel(&operation->launch);
  if (operation->what == COPY_IN || operation->what == COPY_OUT) {
    if (!(device = host_pointer(operation->device, operation->num_bytes))) sticky = ILLEGAL_ADDRESS;
    else if (operation->what == COPY_IN) memcpy(device, operation->host, operation->num_bytes);
    else memcpy(operation->host, device, operation->num_bytes);
  }
  // A kernel takes a millisecond, a copy a quarter.
  clock_milliseconds += operation->what == KERNEL ? 1.0 : device ? 0.25 : 0.0;
  if (operation->what == RECORD) operation->event->milliseconds = clock_milliseconds;
}

static void run(struct Stream *stream, int last) {
  for (int i = 0; i < num_operations && i <= last; i++)
    if (!operations[i].done && (!stream || operations[i].stream == stream)) run_one(&operations[i]);
}

void run_everything(void) { run(NULL, MAX_OPERATIONS); }

Result unsafe_while_capturing(void) {
  if (recording) recording->valid = 0;
  return recording ? CAPTURE_UNSUPPORTED : SUCCESS;
}

static int is_stream(struct Stream *stream) { return stream && stream->magic == STREAM; }
static int is_event(struct Event *event) { return event && event->magic == EVENT; }

Result queue(struct Stream *stream, struct Operation operation) {
  if (!is_stream(stream)) return INVALID_HANDLE;
  operation.stream = stream;
  if (stream->recording) {
    if (stream->recording->num_operations == MAX_RECORDED) abort();
    stream->recording->operations[stream->recording->num_operations++] = operation;
    return SUCCESS;
  }
  if (num_operations == MAX_OPERATIONS) abort();
  operations[num_operations++] = operation;
  return SUCCESS;
}

static Result copy(struct Stream *stream, struct Operation operation) {
  if (!is_stream(stream)) return INVALID_HANDLE;
  if (!host_pointer(operation.device, operation.num_bytes)) return INVALID_VALUE;
  if (is_pinned(operation.host, operation.num_bytes)) return queue(stream, operation);
  // Pageable memory: read before the call returns, and written before it returns.
  Result code = unsafe_while_capturing();
  if (code) return code;
  if (operation.what == COPY_IN) {
    void *staged = malloc(operation.num_bytes);
    operation.host = memcpy(staged, operation.host, operation.num_bytes);
    return queue(stream, operation);
  }
  code = queue(stream, operation);
  run(stream, MAX_OPERATIONS);
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
  *(*stream = calloc(1, sizeof **stream)) = (struct Stream){STREAM, flags, NULL};
  alive[STREAMS]++;
  return SUCCESS;
}

Result cuStreamDestroy_v2(struct Stream *stream) {
  ENTER_CONTEXT(cuStreamDestroy);
  if (!is_stream(stream)) return INVALID_HANDLE;
  run(stream, MAX_OPERATIONS);
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
  Result code = stream->recording ? unsafe_while_capturing() : SUCCESS;
  if (code) return code;
  run(stream, MAX_OPERATIONS);
  return sticky;
}

Result cuStreamWaitEvent(struct Stream *stream, struct Event *event, unsigned flags) {
  ENTER_CONTEXT(cuStreamWaitEvent);
  if (!is_event(event)) return INVALID_HANDLE;
  if (flags) return INVALID_VALUE;
  if (!event->stream) return SUCCESS;
  return queue(stream, (struct Operation){.what = WAIT, .other = event->stream, .index = event->index});
}

Result cuEventCreate(struct Event **event, unsigned flags) {
  ENTER_CONTEXT(cuEventCreate);
  if (flags) return INVALID_VALUE;
  *(*event = calloc(1, sizeof **event)) = (struct Event){.magic = EVENT};
  alive[EVENTS]++;
  return SUCCESS;
}

Result cuEventDestroy_v2(struct Event *event) {
  ENTER_CONTEXT(cuEventDestroy);
  if (!is_event(event)) return INVALID_HANDLE;
  event->magic = 0;
  alive[EVENTS]--;
  return SUCCESS;
}

Result cuEventRecord(struct Event *event, struct Stream *stream) {
  ENTER_CONTEXT(cuEventRecord);
  if (!is_event(event)) return INVALID_HANDLE;
  event->stream = stream;
  event->index = num_operations;
  return queue(stream, (struct Operation){.what = RECORD, .event = event});
}

static int happened(struct Event *event) {
  return event->stream && operations[event->index].done;
}

Result cuEventSynchronize(struct Event *event) {
  ENTER_CONTEXT(cuEventSynchronize);
  if (!is_event(event)) return INVALID_HANDLE;
  if (event->stream) run(event->stream, event->index);
  return sticky;
}

Result cuEventElapsedTime_v2(float *milliseconds, struct Event *start, struct Event *end) {
  ENTER_CONTEXT(cuEventElapsedTime);
  if (!is_event(start) || !is_event(end)) return INVALID_HANDLE;
  if (!happened(start) || !happened(end)) return NOT_READY;
  *milliseconds = (float)(end->milliseconds - start->milliseconds);
  return SUCCESS;
}

Result cuStreamBeginCapture_v2(struct Stream *stream, int mode) {
  ENTER_CONTEXT(cuStreamBeginCapture);
  if (!is_stream(stream) || stream->recording) return INVALID_VALUE;
  (void)mode;
  recording = stream->recording = calloc(1, sizeof *recording);
  *recording = (struct Graph){.magic = GRAPH, .valid = 1};
  return SUCCESS;
}

Result cuStreamEndCapture(struct Stream *stream, struct Graph **graph) {
  ENTER_CONTEXT(cuStreamEndCapture);
  if (!is_stream(stream) || !stream->recording) return INVALID_VALUE;
  *graph = stream->recording->valid ? stream->recording : NULL;
  recording = stream->recording = NULL;
  if (!*graph) return CAPTURE_INVALIDATED;
  alive[GRAPHS]++;
  return SUCCESS;
}

Result cuGraphDestroy(struct Graph *graph) {
  ENTER_CONTEXT(cuGraphDestroy);
  if (!graph || graph->magic != GRAPH) return INVALID_VALUE;
  graph->magic = 0;
  alive[GRAPHS]--;
  return SUCCESS;
}

Result cuGraphInstantiateWithFlags(struct Graph **made, struct Graph *graph, unsigned long long flags) {
  ENTER_CONTEXT(cuGraphInstantiate);
  if (!graph || graph->magic != GRAPH || flags) return INVALID_VALUE;
  *(*made = malloc(sizeof *graph)) = *graph;
  (*made)->magic = EXECUTABLE;
  alive[EXECUTABLES]++;
  return SUCCESS;
}

Result cuGraphExecDestroy(struct Graph *graph) {
  ENTER_CONTEXT(cuGraphExecDestroy);
  if (!graph || graph->magic != EXECUTABLE) return INVALID_VALUE;
  graph->magic = 0;
  alive[EXECUTABLES]--;
  return SUCCESS;
}

Result cuGraphLaunch(struct Graph *graph, struct Stream *stream) {
  ENTER_CONTEXT(cuGraphLaunch);
  if (!graph || graph->magic != EXECUTABLE) return INVALID_VALUE;
  Result code = SUCCESS;
  for (int i = 0; i < graph->num_operations && !code; i++) code = queue(stream, graph->operations[i]);
  return code;
}

#define NAME(function) {#function, function}
const struct Name work_names[] = {
  {"cuMemcpyHtoDAsync", cuMemcpyHtoDAsync_v2}, {"cuMemcpyDtoHAsync", cuMemcpyDtoHAsync_v2},
  NAME(cuStreamCreate), {"cuStreamDestroy", cuStreamDestroy_v2}, NAME(cuStreamGetFlags),
  NAME(cuStreamSynchronize), NAME(cuStreamWaitEvent), NAME(cuEventCreate),
  {"cuEventDestroy", cuEventDestroy_v2}, NAME(cuEventRecord), NAME(cuEventSynchronize),
  {"cuEventElapsedTime", cuEventElapsedTime_v2}, {"cuStreamBeginCapture", cuStreamBeginCapture_v2},
  NAME(cuStreamEndCapture), NAME(cuGraphDestroy),
  NAME(cuGraphInstantiateWithFlags), {"cuGraphInstantiate", cuGraphInstantiateWithFlags},
  NAME(cuGraphExecDestroy), NAME(cuGraphLaunch), {NULL, NULL},
};
