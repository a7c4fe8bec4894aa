// A stand-in for the CUDA driver on host memory: memory of the device, and locked pages.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdlib.h>
#include <string.h>

#define MAX_REGIONS 4096
#define PAGE 4096
// Added to every address of the device, so that the host crashes where it reads one.
#define DEVICE_OFFSET 0x4000000000000000ull
#define DEVICE_BYTES ((size_t)1 << 30)

struct Region { char *start; size_t num_bytes; };
static struct Region buffers[MAX_REGIONS], locked[MAX_REGIONS];

static struct Region *around(struct Region *regions, const void *pointer, size_t num_bytes) {
  const char *start = pointer;
  for (int i = 0; i < MAX_REGIONS; i++)
    if (regions[i].start && start >= regions[i].start &&
        start + num_bytes <= regions[i].start + regions[i].num_bytes)
      return &regions[i];
  return NULL;
}

static struct Region *empty(struct Region *regions) {
  for (int i = 0; i < MAX_REGIONS; i++)
    if (!regions[i].start) return &regions[i];
  abort();
}

void *host_pointer(Address address, size_t num_bytes) {
  void *pointer = (void *)(address - DEVICE_OFFSET);
  return around(buffers, pointer, num_bytes) ? pointer : NULL;
}

void forget_memory(void) {
  for (int i = 0; i < MAX_REGIONS; i++) {
    free(buffers[i].start);
    buffers[i].start = locked[i].start = NULL;
  }
}

int is_pinned(const void *pointer, size_t num_bytes) {
  return around(locked, pointer, num_bytes) != NULL;
}

Result cuMemAlloc_v2(Address *address, size_t num_bytes) {
  ENTER_CONTEXT(cuMemAlloc);
  if (!num_bytes) return INVALID_VALUE;
  if (num_bytes > DEVICE_BYTES) return OUT_OF_MEMORY;
  char *start = aligned_alloc(256, (num_bytes + 255) / 256 * 256);
  // Memory of the device is not cleared.
  memset(start, 0xAB, num_bytes);
  *empty(buffers) = (struct Region){start, num_bytes};
  alive[BUFFERS]++;
  *address = (Address)start + DEVICE_OFFSET;
  return SUCCESS;
}

Result cuMemFree_v2(Address address) {
  ENTER_CONTEXT(cuMemFree);
  struct Region *region = around(buffers, (void *)(address - DEVICE_OFFSET), 1);
  if (!region || region->start != (char *)(address - DEVICE_OFFSET)) return INVALID_VALUE;
  run_everything();
  free(region->start);
  region->start = NULL;
  alive[BUFFERS]--;
  return SUCCESS;
}

Result cuMemHostRegister_v2(void *pointer, size_t num_bytes, unsigned flags) {
  ENTER_CONTEXT(cuMemHostRegister);
  if (!num_bytes || flags) return INVALID_VALUE;
  uintptr_t first = (uintptr_t)pointer / PAGE, last = ((uintptr_t)pointer + num_bytes - 1) / PAGE;
  for (int i = 0; i < MAX_REGIONS; i++) {
    uintptr_t start = (uintptr_t)locked[i].start;
    if (start && first <= (start + locked[i].num_bytes - 1) / PAGE && start / PAGE <= last)
      return ALREADY_REGISTERED;
  }
  *empty(locked) = (struct Region){pointer, num_bytes};
  alive[PINNED]++;
  return SUCCESS;
}

Result cuMemHostUnregister(void *pointer) {
  ENTER_CONTEXT(cuMemHostUnregister);
  struct Region *region = around(locked, pointer, 1);
  if (!region || region->start != pointer) return NOT_REGISTERED;
  region->start = NULL;
  alive[PINNED]--;
  return SUCCESS;
}

const struct Name memory_names[] = {
  {"cuMemAlloc", cuMemAlloc_v2}, {"cuMemFree", cuMemFree_v2},
  {"cuMemHostRegister", cuMemHostRegister_v2}, {"cuMemHostUnregister", cuMemHostUnregister},
  {NULL, NULL},
};
