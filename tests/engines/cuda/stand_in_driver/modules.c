// A stand-in for the CUDA driver on host memory: modules and the two kernels that it knows.
//
// An image is PTX text, or for a cubin "\x7fELF", "sm_90" and PTX text. The parameters are read
// from the text; what a kernel computes is known by its name, the body of the text is not run.
#define _GNU_SOURCE
#include "stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FUNCTIONS 8
#define MAGIC 0x4D4F4455
#define SHARED_UNASKED 49152
#define SHARED_MOST 232448

struct Module { int magic, num_functions; struct Function functions[MAX_FUNCTIONS]; };

static int type_size(const char *type) {
  int bits = 0;
  return sscanf(type, "%*[usfb]%d", &bits) == 1 ? bits / 8 : 0;
}

// `name(.param .u64 y, .param .f32 a)` behind `.entry`.
static int parse_function(const char *text, struct Function *function) {
  *function = (struct Function){.max_dynamic_shared = SHARED_UNASKED};
  if (sscanf(text, " %63[A-Za-z0-9_]", function->name) != 1) return 0;
  const char *end = strchr(text, ')');
  for (const char *at = text; end && (at = strstr(at, ".param .")) && at < end;) {
    at += strlen(".param .");
    int size = type_size(at), index = function->num_parameters++;
    int offset = (function->num_bytes + size - 1) / size * size;
    function->sizes[index] = size;
    function->offsets[index] = offset;
    function->num_bytes = offset + size;
  }
  return end != NULL;
}

static Result parse(struct Module *module, const char *image, const char **log) {
  float version = 0;
  *log = "";
  if (!strncmp(image, "\x7f" "ELF", 4)) {
    if (strncmp(image + 4, "sm_90", 5)) return NO_BINARY;
    image += 9;
  }
  const char *found = strstr(image, ".version");
  if (!found) return INVALID_IMAGE;
  sscanf(found, ".version %f", &version);
  if (version > 9) {
    *log = "ptxas fatal   : Unsupported .version 99.0;\ncurrent version is '9.0'";
    return UNSUPPORTED_PTX;
  }
  for (const char *at = image; (at = strstr(at, ".entry "));) {
    at += strlen(".entry ");
    if (!parse_function(at, &module->functions[module->num_functions++])) return INVALID_PTX;
  }
  return SUCCESS;
}

// Options: 5 is the buffer for errors, 6 its size, into which the driver writes what it filled.
static void write_log(const char *log, unsigned count, const int *options, void **values) {
  char *buffer = NULL;
  for (unsigned i = 0; i < count; i++)
    if (options[i] == 5) buffer = values[i];
  for (unsigned i = 0; i < count; i++) {
    if (options[i] == 4) values[i] = NULL;
    if (options[i] != 6) continue;
    size_t size = (unsigned)(uintptr_t)values[i], length = strlen(log);
    if (buffer && length < size) memcpy(buffer, log, length + 1);
    values[i] = (void *)length;
  }
}

Result cuModuleLoadDataEx(struct Module **made, const void *image, unsigned count, int *options, void **values) {
  ENTER_CONTEXT(cuModuleLoadDataEx);
  const char *log;
  struct Module *module = calloc(1, sizeof *module);
  Result code = parse(module, image, &log);
  write_log(log, count, options, values);
  if (code) {
    free(module);
    return code;
  }
  module->magic = MAGIC;
  alive[MODULES]++;
  *made = module;
  return SUCCESS;
}

Result cuModuleUnload(struct Module *module) {
  ENTER_CONTEXT(cuModuleUnload);
  if (!module || module->magic != MAGIC) return INVALID_HANDLE;
  module->magic = 0;
  alive[MODULES]--;
  return SUCCESS;
}

Result cuModuleGetFunction(struct Function **function, struct Module *module, const char *name) {
  ENTER_CONTEXT(cuModuleGetFunction);
  if (!module || module->magic != MAGIC) return INVALID_HANDLE;
  for (int i = 0; i < module->num_functions; i++)
    if (!strcmp(module->functions[i].name, name)) {
      *function = &module->functions[i];
      return SUCCESS;
    }
  return NOT_FOUND;
}

Result cuFuncSetAttribute(struct Function *function, int attribute, int value) {
  ENTER_CONTEXT(cuFuncSetAttribute);
  if (attribute != 8 || value < 0 || value > SHARED_MOST) return INVALID_VALUE;
  function->max_dynamic_shared = value;
  return SUCCESS;
}

Result cuFuncGetParamInfo(struct Function *function, size_t index, size_t *offset, size_t *size) {
  ENTER_CONTEXT(cuFuncGetParamInfo);
  if (index >= (size_t)function->num_parameters) return INVALID_VALUE;
  *offset = function->offsets[index];
  *size = function->sizes[index];
  return SUCCESS;
}

// Long deprecated, and still called by pycuda before each launch.
Result cuFuncSetBlockShape(struct Function *function, int x, int y, int z) {
  ENTER_CONTEXT(cuFuncSetBlockShape);
  return function && (int64_t)x * y * z <= 1024 ? SUCCESS : INVALID_VALUE;
}

// The parameters as an array of pointers, or in one buffer (CU_LAUNCH_PARAM_...).
static Result take_parameters(struct Launch *launch, void **pointers, void **extra) {
  const struct Function *function = launch->function;
  if (pointers)
    for (int i = 0; i < function->num_parameters; i++)
      memcpy(launch->parameters + function->offsets[i], pointers[i], function->sizes[i]);
  if (pointers || !extra) return pointers || !function->num_parameters ? SUCCESS : INVALID_VALUE;
  const void *buffer = NULL;
  size_t num_bytes = 0;
  for (void **at = extra; *at; at += 2) {
    if (*at == (void *)1) buffer = at[1];
    if (*at == (void *)2) num_bytes = *(size_t *)at[1];
  }
  if (num_bytes != (size_t)function->num_bytes) return INVALID_VALUE;
  memcpy(launch->parameters, buffer, num_bytes);
  return SUCCESS;
}

Result cuLaunchKernel(struct Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                      unsigned bz, unsigned shared, struct Stream *stream, void **pointers, void **extra) {
  ENTER_CONTEXT(cuLaunchKernel);
  struct Launch launch = {function, {gx, gy, gz}, {bx, by, bz}, shared, {0}};
  if (!gx || !gy || !gz || !bx || !by || !bz || (uint64_t)bx * by * bz > 1024) return INVALID_VALUE;
  if (shared > (unsigned)function->max_dynamic_shared) return INVALID_VALUE;
  Result code = take_parameters(&launch, pointers, extra);
  return code ? code : queue(stream, (struct Operation){.what = KERNEL, .launch = launch});
}

static void read(const struct Launch *launch, int index, void *value) {
  const struct Function *function = launch->function;
  memcpy(value, launch->parameters + function->offsets[index], function->sizes[index]);
}

// y[i] += a * x[i] for i < n, as far as there are threads.
static Result axpy(const struct Launch *launch) {
  Address y, x;
  float a;
  uint32_t n;
  read(launch, 0, &y), read(launch, 1, &x), read(launch, 2, &a), read(launch, 3, &n);
  uint32_t threads = launch->grid[0] * launch->block[0], count = n < threads ? n : threads;
  float *to = host_pointer(y, count * sizeof *to), *from = host_pointer(x, count * sizeof *from);
  if (!to || !from) return ILLEGAL_ADDRESS;
  for (uint32_t i = 0; i < count; i++) to[i] += a * from[i];
  return SUCCESS;
}

// How it was launched and what it was given, as float64.
static Result report(const struct Launch *launch) {
  Address out;
  uint8_t small;
  double large;
  uint16_t half;
  read(launch, 0, &out), read(launch, 1, &small), read(launch, 2, &large), read(launch, 3, &half);
  double *to = host_pointer(out, 10 * sizeof *to);
  if (!to) return ILLEGAL_ADDRESS;
  for (int i = 0; i < 3; i++) to[i] = launch->grid[i], to[3 + i] = launch->block[i];
  to[6] = launch->shared, to[7] = small, to[8] = large, to[9] = half;
  return SUCCESS;
}

Result run_kernel(const struct Launch *launch) {
  return strcmp(launch->function->name, "axpy") ? report(launch) : axpy(launch);
}

#define NAME(function) {#function, function}
const struct Name module_names[] = {
  NAME(cuModuleLoadDataEx), NAME(cuModuleUnload), NAME(cuModuleGetFunction),
  NAME(cuFuncSetAttribute), NAME(cuFuncGetParamInfo), NAME(cuLaunchKernel), {NULL, NULL},
};
