/* What wasmtime's library finds on Windows and not in wine 8, as C:\windows\system32\bcryptprimitives.dll:

   - the library's own import, ProcessPrng, by which Rust gets random bytes;
   - copy-on-write views of files. wasmtime maps an artifact with FILE_MAP_READ | FILE_MAP_COPY |
     FILE_MAP_EXECUTE and makes pages PAGE_WRITECOPY then. wine takes READ for a shared view, and
     refuses; Windows, COPY for one that is copied. So wherever COPY is asked for, only that is. */

#include <string.h>
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, of advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    const SIZE_T most = 1 << 20;
    while (size) {
        ULONG part = (ULONG)(size < most ? size : most);
        if (!SystemFunction036(data, part))
            return FALSE;
        data += part;
        size -= part;
    }
    return TRUE;
}

typedef LPVOID(WINAPI *MapViewEx)(HANDLE, DWORD, DWORD, DWORD, SIZE_T, LPVOID);
static MapViewEx map_view_ex;

static LPVOID WINAPI map_view(HANDLE file, DWORD access, DWORD high, DWORD low, SIZE_T size)
{
    if ((access & FILE_MAP_COPY) && !(access & FILE_MAP_WRITE))
        access &= FILE_MAP_COPY | FILE_MAP_EXECUTE;
    return map_view_ex(file, access, high, low, size, NULL);
}

/* Overwrites the beginning of a function with a jump: mov rax, to; jmp rax. */
static void redirect(unsigned char *function, void *to)
{
    unsigned char jump[12] = {0x48, 0xb8, [10] = 0xff, 0xe0};
    DWORD before;
    memcpy(jump + 2, &to, sizeof to);
    if (!VirtualProtect(function, sizeof jump, PAGE_EXECUTE_READWRITE, &before))
        return;
    memcpy(function, jump, sizeof jump);
    VirtualProtect(function, sizeof jump, before, &before);
    FlushInstructionCache(GetCurrentProcess(), function, sizeof jump);
}

BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, LPVOID reserved)
{
    if (reason == DLL_PROCESS_ATTACH) {
        HMODULE kernel = GetModuleHandleA("kernelbase.dll");
        void *function = (void *)GetProcAddress(kernel, "MapViewOfFile");
        map_view_ex = (MapViewEx)(void *)GetProcAddress(kernel, "MapViewOfFileEx");
        if (function && map_view_ex)
            redirect(function, (void *)map_view);
    }
    return TRUE;
}
