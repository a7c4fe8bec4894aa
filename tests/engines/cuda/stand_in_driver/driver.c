// A stand-in for the CUDA driver on host memory: starting up, devices, contexts and errors.
//
// It exists to run the real bindings where there is no GPU. Each function does what the driver's
// documentation says of it, strictly: a missing context, a freed handle or a wrong size is an
// error here as it is there. A test plans failures through standInFail and counts what is alive
// through standInCount.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEVICES 4
#define MAX_DEPTH 64

struct Context { int device, references, alive; };

int alive[NUM_KINDS];
Result sticky;
static int initialised;
static struct Context *primary[MAX_DEVICES];
static __thread struct Context *stack[MAX_DEPTH];
static __thread int depth;
static char fail_name[64];
static Result fail_code;

static int setting(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static int num_devices(void) { return setting("STAND_IN_DEVICES", 1); }

void standInFail(const char *name, int code) {
  snprintf(fail_name, sizeof fail_name, "%s", name);
  fail_code = code;
}

int standInCount(int kind) { return alive[kind]; }
int standInDepth(void) { return depth; }
void standInHeal(void) { sticky = SUCCESS; alive[LEAKED] = 0; }

Result entered(const char *name, int needs_context) {
  if (fail_code && !strcmp(name, fail_name)) return fail_code;
  if (!initialised && strcmp(name, "cuInit") && strcmp(name, "cuDriverGetVersion"))
    return NOT_INITIALIZED;
  if (!needs_context) return SUCCESS;
  if (!depth) return INVALID_CONTEXT;
  return stack[depth - 1]->alive ? sticky : CONTEXT_DESTROYED;
}

Result cuInit(unsigned flags) {
  ENTER(cuInit);
  if (flags) return INVALID_VALUE;
  Result code = setting("STAND_IN_INIT", SUCCESS);
  initialised = !code;
  return code;
}

Result cuDriverGetVersion(int *version) {
  ENTER(cuDriverGetVersion);
  *version = setting("STAND_IN_VERSION", 13000);
  return SUCCESS;
}

Result cuDeviceGetCount(int *count) {
  ENTER(cuDeviceGetCount);
  *count = num_devices();
  return SUCCESS;
}

Result cuDeviceGet(int *device, int ordinal) {
  ENTER(cuDeviceGet);
  if (ordinal < 0 || ordinal >= num_devices()) return INVALID_DEVICE;
  // Not the ordinal, so that nobody may take one for the other.
  *device = ordinal + 1;
  return SUCCESS;
}

static int bad(int device) { return device < 1 || device > num_devices(); }

Result cuDeviceGetName(char *name, int length, int device) {
  ENTER(cuDeviceGetName);
  if (bad(device)) return INVALID_DEVICE;
  snprintf(name, length, "Stand-in %c", 'A' + device - 1);
  return SUCCESS;
}

Result cuDeviceTotalMem_v2(size_t *num_bytes, int device) {
  ENTER(cuDeviceTotalMem);
  if (bad(device)) return INVALID_DEVICE;
  *num_bytes = (size_t)device << 30;
  return SUCCESS;
}

Result cuDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER(cuDeviceGetAttribute);
  if (bad(device)) return INVALID_DEVICE;
  if (attribute != 75 && attribute != 76) return INVALID_VALUE;
  *value = attribute == 75 ? 9 : device - 1;
  return SUCCESS;
}

Result cuDevicePrimaryCtxRetain(struct Context **context, int device) {
  ENTER(cuDevicePrimaryCtxRetain);
  if (bad(device)) return INVALID_DEVICE;
  if (!primary[device - 1]) {
    // Never freed: a dead context must stay recognisable.
    *(primary[device - 1] = calloc(1, sizeof **primary)) = (struct Context){device, 0, 1};
    alive[CONTEXTS]++;
  }
  primary[device - 1]->references++;
  *context = primary[device - 1];
  return SUCCESS;
}

Result cuDevicePrimaryCtxRelease_v2(int device) {
  ENTER(cuDevicePrimaryCtxRelease);
  if (bad(device)) return INVALID_DEVICE;
  struct Context *context = primary[device - 1];
  if (!context) return INVALID_CONTEXT;
  // Unlike cuCtxDestroy this never pops the context.
  if (--context->references == 0) {
    context->alive = 0;
    primary[device - 1] = NULL;
    alive[CONTEXTS]--;
    forget_memory();
    for (int kind = BUFFERS; kind <= MODULES; kind++) {
      alive[LEAKED] += alive[kind];
      alive[kind] = 0;
    }
  }
  return SUCCESS;
}

Result cuCtxPushCurrent_v2(struct Context *context) {
  ENTER(cuCtxPushCurrent);
  if (!context) return INVALID_CONTEXT;
  if (!context->alive) return CONTEXT_DESTROYED;
  stack[depth++] = context;
  return SUCCESS;
}

Result cuCtxPopCurrent_v2(struct Context **context) {
  ENTER(cuCtxPopCurrent);
  if (!depth) return INVALID_CONTEXT;
  // Stricter than the driver, which does not promise anything here.
  if (!stack[depth - 1]->alive) return CONTEXT_DESTROYED;
  *context = stack[--depth];
  return SUCCESS;
}

Result cuCtxSynchronize(void) {
  ENTER_CONTEXT(cuCtxSynchronize);
  run_everything();
  return sticky;
}

static const struct { Result code; const char *name, *words; } errors[] = {
  {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
  {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
  {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
  {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
  {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
  {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
  {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
  {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
  {NO_BINARY, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
  {INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
  {UNSUPPORTED_PTX, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
  {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
  {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
  {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
  {CONTEXT_DESTROYED, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
  {ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "part or all of the requested memory range is already mapped"},
  {NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "pointer does not correspond to a registered memory region"},
  {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
};

static Result described(Result code, const char **text, int name) {
  *text = NULL;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (errors[i].code == code) *text = name ? errors[i].name : errors[i].words;
  return *text ? SUCCESS : INVALID_VALUE;
}

Result cuGetErrorName(Result code, const char **text) { return described(code, text, 1); }
Result cuGetErrorString(Result code, const char **text) { return described(code, text, 0); }

#define NAME(function) {#function, function}
static const struct Name driver_names[] = {
  NAME(cuInit), NAME(cuDriverGetVersion), NAME(cuDeviceGetCount), NAME(cuDeviceGet),
  NAME(cuDeviceGetName), {"cuDeviceTotalMem", cuDeviceTotalMem_v2}, NAME(cuDeviceGetAttribute),
  NAME(cuDevicePrimaryCtxRetain), {"cuDevicePrimaryCtxRelease", cuDevicePrimaryCtxRelease_v2},
  {"cuCtxPushCurrent", cuCtxPushCurrent_v2}, {"cuCtxPopCurrent", cuCtxPopCurrent_v2},
  NAME(cuCtxSynchronize), NAME(cuGetErrorName), NAME(cuGetErrorString), {NULL, NULL},
};

// How cuda-bindings finds every function: by the name without its version.
Result cuGetProcAddress_v2(const char *symbol, void **found, int version, uint64_t flags, int *status) {
  const struct Name *tables[] = {driver_names, memory_names, work_names, module_names};
  (void)version, (void)flags;
  *found = NULL;
  for (int i = 0; i < 4; i++)
    for (const struct Name *entry = tables[i]; entry->name; entry++)
      if (!strcmp(entry->name, symbol)) *found = entry->function;
  if (status) *status = *found ? 0 : 1;
  return *found ? SUCCESS : NOT_FOUND;
}
