/* The calls of the CUDA driver that oipserver makes, on memory of this process. A handle holds an address and a size. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct { char reserved[64]; } Handle;

static uint64_t open_base;
static size_t open_size;
static uintptr_t current;
int fake_opened, fake_retained, fake_depth, fake_failing, fake_devices = 1;

int cuInit(unsigned flags) { return flags == 0 ? 0 : 1; }
int cuGetErrorString(int status, const char **text) { *text = status == 400 ? "invalid handle" : "fake failure"; return 0; }
int cuDeviceGetCount(int *count) { *count = fake_devices; return 0; }
int cuDeviceGet(int *device, int number) { if (number < 0 || number >= fake_devices) return 101; *device = 40 + number; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { if (device < 40) return 101; fake_retained++; *context = (void *)(uintptr_t)(1000 + device); return 0; }
int cuDevicePrimaryCtxRelease_v2(int device) { if (device < 40) return 101; fake_retained--; return 0; }
int cuCtxPushCurrent_v2(void *context) { current = (uintptr_t)context; fake_depth++; return current ? 0 : 201; }
int cuCtxPopCurrent_v2(void **context) { *context = (void *)current; current = 0; fake_depth--; return 0; }

int cuIpcOpenMemHandle_v2(uint64_t *address, Handle handle, unsigned flags)
{
    if (!current || flags != 1) return 201;
    memcpy(&open_base, handle.reserved, 8);
    memcpy(&open_size, handle.reserved + 56, 8);
    if (!open_base) return 400;
    fake_opened++;
    *address = open_base;
    return 0;
}

int cuIpcCloseMemHandle(uint64_t address) { if (!current || address != open_base) return 400; fake_opened--; return 0; }

int cuMemGetAddressRange_v2(uint64_t *base, size_t *size, uint64_t address)
{
    if (!current || address < open_base) return 1;
    *base = open_base;
    *size = open_size;
    return 0;
}

static int inside(uint64_t address, size_t size)
{
    return current && !fake_failing && address >= open_base && address + size <= open_base + open_size;
}

int cuMemcpyDtoH_v2(void *target, uint64_t address, size_t size)
{
    if (!inside(address, size)) return 700;
    memcpy(target, (void *)address, size);
    return 0;
}

int cuMemcpyHtoD_v2(uint64_t address, const void *source, size_t size)
{
    if (!inside(address, size)) return 700;
    memcpy((void *)address, source, size);
    return 0;
}
