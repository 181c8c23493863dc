/* NVML without a GPU: the calls that paretune makes, answered from a folder that a test writes.
 *
 * NVML_STUB_FOLDER holds gpu0, gpu1, ...; each is a folder with one small file per property, read anew at every call, so
 * that a test and several processes see one machine: limits stick because they are files. `fail_<function>` in a GPU's
 * folder makes that call fail with the code it holds; `lost` lets every call fail; `no_permission` beside the GPUs
 * refuses every change. Power follows `curve`, a sine on CLOCK_MONOTONIC, cut off at the limit; the energy counter is its
 * integral, and moves every tick_ms. Test equipment, never a figure's source.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7, TIMED_OUT = 10,
       NO_LIBRARY = 12, LOST = 15 };

typedef int Return;
typedef void *Device; /* the GPU's number plus one */
typedef unsigned long long u64;

static int number_of(Device device) { return (int)(intptr_t)device - 1; }

/* A property's path; gpu < 0: one of the machine. */
static void path_of(char *path, size_t size, int gpu, const char *key) {
    const char *folder = getenv("NVML_STUB_FOLDER");
    if (gpu < 0) snprintf(path, size, "%s/%s", folder ? folder : "/nonexistent", key);
    else snprintf(path, size, "%s/gpu%d/%s", folder ? folder : "/nonexistent", gpu, key);
}

static int text(int gpu, const char *key, char *out, size_t size) {
    char path[4096];
    path_of(path, sizeof path, gpu, key);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t length = fread(out, 1, size - 1, file);
    fclose(file);
    out[length] = 0;
    out[strcspn(out, "\n")] = 0;
    return 1;
}

static double number(int gpu, const char *key, double fallback) {
    char found[256];
    return text(gpu, key, found, sizeof found) ? strtod(found, NULL) : fallback;
}

static void put_text(int gpu, const char *key, const char *value) {
    char path[4096], part[4200];
    path_of(path, sizeof path, gpu, key);
    snprintf(part, sizeof part, "%s.part%d", path, (int)getpid());
    FILE *file = fopen(part, "w");
    if (!file) return;
    fprintf(file, "%s\n", value);
    fclose(file);
    rename(part, path);
}

static void put(int gpu, const char *key, double value) {
    char line[64];
    snprintf(line, sizeof line, "%.17g", value);
    put_text(gpu, key, line);
}

static void drop(int gpu, const char *key) {
    char path[4096];
    path_of(path, sizeof path, gpu, key);
    unlink(path);
}

static Return failing(int gpu, const char *function) {
    char key[256];
    snprintf(key, sizeof key, "fail_%s", function);
    if (gpu >= 0 && number(gpu, "lost", 0) > 0) return LOST;
    return (Return)number(gpu, key, 0);
}

#define START(device) \
    int gpu = number_of(device); \
    Return failure = failing(gpu, __func__); \
    if (failure) return failure

#define START_CHANGE(device) \
    START(device); \
    if (number(-1, "no_permission", 0) > 0) return NO_PERMISSION

/* ---- power and energy ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double limit_watts(int gpu) { return number(gpu, "power_limit_mw", 700000) / 1000; }

/* Watts: base + swing * sin(2 pi (t - phase) / period); joules are what was used until the moment `since`. */
typedef struct { double base, swing, period, phase, since, joules; } Curve;

static Curve curve_of(int gpu) {
    Curve c = {100, 0, 1, 0, 0, 0};
    char line[256];
    if (text(gpu, "curve", line, sizeof line))
        sscanf(line, "%lf %lf %lf %lf %lf %lf", &c.base, &c.swing, &c.period, &c.phase, &c.since, &c.joules);
    return c;
}

static double uncut_watts(Curve c, double t) { return c.base + c.swing * sin(2 * M_PI * (t - c.phase) / c.period); }

static double watts_at(int gpu, double t) { return fmin(uncut_watts(curve_of(gpu), t), limit_watts(gpu)); }

static double joules_at(int gpu, double t) {
    Curve c = curve_of(gpu);
    double limit = limit_watts(gpu), turn = 2 * M_PI / c.period, seconds = t - c.since, joules = c.joules;
    if (seconds <= 0) return joules;
    if (c.base + fabs(c.swing) <= limit)
        return joules + c.base * seconds
            + c.swing / turn * (cos(turn * (c.since - c.phase)) - cos(turn * (t - c.phase)));
    long steps = 1 + (long)(seconds / 0.001);
    double step = seconds / (double)steps;
    for (long i = 0; i < steps; i++) joules += step * fmin(uncut_watts(c, c.since + (i + 0.5) * step), limit);
    return joules;
}

Return nvmlDeviceGetTotalEnergyConsumption(Device device, u64 *millijoules) {
    START(device);
    double tick = number(gpu, "tick_ms", 20) / 1000, t = now();
    *millijoules = (u64)(1000 * joules_at(gpu, tick > 0 ? floor(t / tick) * tick : t));
    return OK;
}

Return nvmlDeviceGetPowerUsage(Device device, unsigned *milliwatts) {
    START(device);
    *milliwatts = (unsigned)(1000 * watts_at(gpu, now()));
    return OK;
}

typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    uint32_t type, result;
    union { double d; unsigned ui; u64 ull; } value;
} FieldValue;

Return nvmlDeviceGetFieldValues(Device device, int32_t count, FieldValue *values) {
    START(device);
    for (int i = 0; i < count; i++) {
        values[i].result = values[i].field == 186 ? (uint32_t)number(gpu, "fail_power_instant", 0) : NOT_SUPPORTED;
        values[i].type = 1;
        values[i].value.ui = (unsigned)(1000 * watts_at(gpu, now()));
    }
    return OK;
}

Return nvmlDeviceGetPowerManagementLimit(Device device, unsigned *milliwatts) {
    START(device);
    *milliwatts = (unsigned)number(gpu, "power_limit_mw", 700000);
    return OK;
}

Return nvmlDeviceGetPowerManagementDefaultLimit(Device device, unsigned *milliwatts) {
    START(device);
    *milliwatts = (unsigned)number(gpu, "power_default_mw", 700000);
    return OK;
}

Return nvmlDeviceGetPowerManagementLimitConstraints(Device device, unsigned *lowest, unsigned *highest) {
    START(device);
    *lowest = (unsigned)number(gpu, "power_min_mw", 200000);
    *highest = (unsigned)number(gpu, "power_max_mw", 700000);
    return OK;
}

Return nvmlDeviceSetPowerManagementLimit(Device device, unsigned milliwatts) {
    START_CHANGE(device);
    double lowest = number(gpu, "power_min_mw", 200000), highest = number(gpu, "power_max_mw", 700000), t = now();
    if (milliwatts < lowest || milliwatts > highest) return INVALID;
    double asked = fmax(milliwatts, number(gpu, "floor_mw", lowest)), joules = joules_at(gpu, t);
    Curve c = curve_of(gpu);
    char line[256];
    snprintf(line, sizeof line, "%.17g %.17g %.17g %.17g %.17g %.17g", c.base, c.swing, c.period, c.phase, t, joules);
    put_text(gpu, "curve", line);
    put(gpu, "power_limit_mw", asked);
    return OK;
}

Return nvmlDeviceSetGpuLockedClocks(Device device, unsigned lowest, unsigned highest) {
    START_CHANGE(device);
    if (lowest > highest) return INVALID;
    put(gpu, "locked_mhz", highest);
    return OK;
}

Return nvmlDeviceResetGpuLockedClocks(Device device) {
    START_CHANGE(device);
    drop(gpu, "locked_mhz");
    return OK;
}

/* ---- what it is and how it fares ---- */

Return nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    return getenv("NVML_STUB_FOLDER") ? failing(-1, __func__) : NO_LIBRARY;
}

Return nvmlShutdown(void) { return OK; }

const char *nvmlErrorString(Return result) { return result == OK ? "Success" : "Scripted failure"; }

Return nvmlSystemGetDriverVersion(char *version, unsigned length) {
    if (!text(-1, "driver_version", version, length)) snprintf(version, length, "580.95.05");
    return failing(-1, __func__);
}

Return nvmlDeviceGetCount_v2(unsigned *count) {
    char path[4096];
    for (*count = 0;; ++*count) {
        path_of(path, sizeof path, (int)*count, "");
        if (access(path, F_OK) != 0) return failing(-1, __func__);
    }
}

Return nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
    *device = (Device)(intptr_t)(index + 1);
    return failing((int)index, __func__);
}

Return nvmlDeviceGetUUID(Device device, char *uuid, unsigned length) {
    START(device);
    return text(gpu, "uuid", uuid, length) ? OK : NOT_FOUND;
}

Return nvmlDeviceGetName(Device device, char *name, unsigned length) {
    START(device);
    if (!text(gpu, "name", name, length)) snprintf(name, length, "NVIDIA Scripted");
    return OK;
}

typedef struct { u64 total, free, used; } Memory;
typedef struct { unsigned version; u64 total, reserved, free, used; } MemoryV2;

static u64 mib(int gpu, const char *key, double fallback) { return (u64)number(gpu, key, fallback) << 20; }

Return nvmlDeviceGetMemoryInfo_v2(Device device, MemoryV2 *memory) {
    START(device);
    memory->total = mib(gpu, "memory_total_mib", 81559);
    memory->reserved = mib(gpu, "memory_reserved_mib", 600);
    memory->used = mib(gpu, "memory_used_mib", 0);
    memory->free = memory->total - memory->reserved - memory->used;
    return OK;
}

Return nvmlDeviceGetMemoryInfo(Device device, Memory *memory) {
    START(device);
    memory->total = mib(gpu, "memory_total_mib", 81559);
    memory->used = mib(gpu, "memory_used_mib", 0) + mib(gpu, "memory_reserved_mib", 600);
    memory->free = memory->total - memory->used;
    return OK;
}

Return nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
    START(device);
    *current = *pending = (unsigned)number(gpu, "mig", 0);
    return OK;
}

typedef struct { unsigned pid; u64 used; unsigned gpu_instance, compute_instance; } Process;

Return nvmlDeviceGetComputeRunningProcesses_v3(Device device, unsigned *count, Process *processes) {
    START(device);
    char path[4096];
    path_of(path, sizeof path, gpu, "processes");
    FILE *file = fopen(path, "r");
    unsigned room = *count, found = 0, pid;
    u64 used;
    while (file && fscanf(file, "%u %llu", &pid, &used) == 2) {
        if (processes && found < room) processes[found] = (Process){pid, used, ~0u, ~0u};
        found++;
    }
    if (file) fclose(file);
    *count = found;
    return found > (processes ? room : 0) ? TOO_SMALL : OK;
}

Return nvmlDeviceGetTotalEccErrors(Device device, unsigned kind, unsigned counter, u64 *count) {
    START(device);
    *count = kind == 1 && counter == 0 ? (u64)number(gpu, "ecc_uncorrected", 0) : 0;
    return OK;
}

Return nvmlDeviceGetRemappedRows(Device device, unsigned *fixed, unsigned *lost, unsigned *pending, unsigned *failed) {
    START(device);
    *fixed = *lost = 0;
    *pending = (unsigned)number(gpu, "remap_pending", 0);
    *failed = (unsigned)number(gpu, "remap_failed", 0);
    return OK;
}

Return nvmlDeviceGetCurrentClocksEventReasons(Device device, u64 *reasons) {
    START(device);
    *reasons = (u64)number(gpu, "throttle", 0);
    return OK;
}

Return nvmlDeviceGetTemperature(Device device, unsigned sensor, unsigned *celsius) {
    START(device);
    *celsius = sensor == 0 ? (unsigned)number(gpu, "celsius", 40) : 0;
    return OK;
}

Return nvmlDeviceGetClockInfo(Device device, unsigned kind, unsigned *mhz) {
    START(device);
    double graphics = number(gpu, "sm_mhz", 1980);
    *mhz = kind == 2 ? (unsigned)number(gpu, "memory_mhz", 2619) : (unsigned)number(gpu, "locked_mhz", graphics);
    return OK;
}

Return nvmlDeviceGetSupportedMemoryClocks(Device device, unsigned *count, unsigned *clocks) {
    START(device);
    if (!clocks) return *count = 1, TOO_SMALL;
    clocks[0] = 2619;
    return OK;
}

Return nvmlDeviceGetSupportedGraphicsClocks(Device device, unsigned memory, unsigned *count, unsigned *clocks) {
    START(device);
    (void)memory;
    if (!clocks) return *count = 112, TOO_SMALL;
    for (unsigned i = 0; i < 112; i++) clocks[i] = 1980 - 15 * i;
    return OK;
}

Return nvmlDeviceGetP2PStatus(Device one, Device other, unsigned kind, unsigned *status) {
    START(one);
    char linked[256] = "";
    text(gpu, "nvlink", linked, sizeof linked);
    *status = 5;
    for (char *word = strtok(linked, " "); word; word = strtok(NULL, " "))
        if (kind == 2 && atoi(word) == number_of(other)) *status = 0;
    return OK;
}

Return nvmlDeviceGetTopologyCommonAncestor(Device one, Device other, unsigned *level) {
    START(one);
    *level = number(gpu, "node", 0) == number(number_of(other), "node", 0) ? 30 : 50;
    return OK;
}

/* ---- critical errors ---- */

typedef struct { Device device; u64 type, data; unsigned gpu_instance, compute_instance; } Event;

Return nvmlEventSetCreate(void **set) {
    static int only;
    *set = &only;
    return failing(-1, __func__);
}

Return nvmlEventSetFree(void *set) { (void)set; return OK; }

Return nvmlDeviceRegisterEvents(Device device, u64 types, void *set) {
    START(device);
    (void)types, (void)set;
    return OK;
}

Return nvmlEventSetWait_v2(void *set, Event *event, unsigned timeout_ms) {
    unsigned count;
    (void)set, (void)timeout_ms;
    nvmlDeviceGetCount_v2(&count);
    for (unsigned gpu = 0; gpu < count; gpu++) {
        int xid = (int)number((int)gpu, "xid", 0);
        if (xid <= 0) continue;
        drop((int)gpu, "xid");
        *event = (Event){(Device)(intptr_t)(gpu + 1), 8, (u64)xid, ~0u, ~0u};
        return OK;
    }
    return TIMED_OUT;
}
