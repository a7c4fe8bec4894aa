// A stand-in for the CUDA driver on host memory: what the parts share. See driver.c.
#include <stddef.h>
#include <stdint.h>

typedef int Result;
typedef uint64_t Address;

enum {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100,
  INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201, NO_BINARY = 209,
  INVALID_PTX = 218, UNSUPPORTED_PTX = 222, INVALID_HANDLE = 400, NOT_FOUND = 500,
  ILLEGAL_ADDRESS = 700, CONTEXT_DESTROYED = 709, ALREADY_REGISTERED = 712, NOT_REGISTERED = 713,
};

// What is alive, by kind; `leaked` are those that died with their context.
enum Kind { BUFFERS, PINNED, STREAMS, MODULES, CONTEXTS, LEAKED, NUM_KINDS };
extern int alive[NUM_KINDS];

// Every function of the driver begins with one of these: they fail as the test has planned, and
// where there is no context, a dead one, or one in which a kernel has failed.
Result entered(const char *name, int needs_context);
#define ENTER(name) do { Result code_ = entered(#name, 0); if (code_) return code_; } while (0)
#define ENTER_CONTEXT(name) do { Result code_ = entered(#name, 1); if (code_) return code_; } while (0)

// Set by a kernel that touches what is not there; every later call in the context fails.
extern Result sticky;

// Kernels. The bytes of the parameters lie as in the C struct of them.
#define MAX_PARAMETERS 16
#define MAX_PARAMETER_BYTES 256
struct Function {
  char name[64];
  int num_parameters;
  int sizes[MAX_PARAMETERS], offsets[MAX_PARAMETERS], num_bytes;
  int max_dynamic_shared;
};
struct Launch {
  const struct Function *function;
  unsigned grid[3], block[3], shared;
  unsigned char parameters[MAX_PARAMETER_BYTES];
};
Result run_kernel(const struct Launch *launch);

// Memory. A device address is never one that the host could read.
void *host_pointer(Address address, size_t num_bytes);
void forget_memory(void);
int is_pinned(const void *pointer, size_t num_bytes);

// Work.
struct Stream;
struct Operation {
  enum { COPY_IN, COPY_OUT, KERNEL } what;
  void *host;
  Address device;
  size_t num_bytes;
  struct Launch launch;
  struct Stream *stream;
  int done;
};
Result queue(struct Stream *stream, struct Operation operation);
void run_everything(void);

struct Name { const char *name; void *function; };
extern const struct Name memory_names[], work_names[], module_names[];
