"""Writes a stand-in for the NVIDIA driver (libcuda.so.1), so that real pycuda runs on a machine without a GPU.

Usage: stand_in_driver.py none|host PYCUDA/_driver*.so OUT/libcuda.so.1

``none``: every call says that there is no device. ``host``: one device of compute capability 8.9 whose memory is the
host's (allocation is malloc, copies are memcpy, streams do nothing, events tell the time); what is not written here
says "not supported".
"""

# ruff: noqa: E501 - C on one line a function
from __future__ import annotations

import re
import subprocess
import sys

NONE = {
    "cuGetErrorString": '(int e, const char**s){*s="no CUDA-capable device (stub driver)";return 0;}',
    "cuGetErrorName": '(int e, const char**s){*s="CUDA_ERROR_NO_DEVICE";return 0;}',
    "cuDriverGetVersion": "(int*v){*v=13000;return 0;}",
}

HEAD = r"""
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
typedef int CUdevice;typedef unsigned long long CUdeviceptr;typedef struct S*CUcontext;typedef struct T*CUstream;
typedef struct U*CUevent;typedef int CUdevice_attribute;typedef int CUresult;
#define CUDA_VERSION 13000
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR 75
#define CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR 76
static __thread CUcontext cur[64]; static __thread int top=-1; static int refs; static struct C{int d;} P;
static double now(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return t.tv_sec*1e3+t.tv_nsec/1e6;}
#define OK return 0
"""

HOST = {
    "cuInit": "(unsigned f){OK;}",
    "cuDriverGetVersion": "(int*v){*v=CUDA_VERSION;OK;}",
    "cuDeviceGetCount": "(int*n){*n=1;OK;}",
    "cuDeviceGet": "(CUdevice*d,int i){if(i)return 101;*d=0;OK;}",
    "cuDeviceGetName": '(char*s,int n,CUdevice d){snprintf(s,n,"host-memory test driver");OK;}',
    "cuDeviceTotalMem_v2": "(size_t*b,CUdevice d){*b=1ull<<30;OK;}",
    "cuDeviceGetPCIBusId": '(char*s,int n,CUdevice d){snprintf(s,n,"0000:00:00.0");OK;}',
    "cuDeviceGetAttribute": "(int*v,CUdevice_attribute a,CUdevice d){*v=a==CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR?8:a==CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR?9:1;OK;}",
    "cuDevicePrimaryCtxRetain": "(CUcontext*c,CUdevice d){refs++;*c=(CUcontext)&P;OK;}",
    "cuDevicePrimaryCtxRelease_v2": "(CUdevice d){refs--;OK;}",
    "cuDevicePrimaryCtxGetState": "(CUdevice d,unsigned*f,int*a){*f=0;*a=refs>0;OK;}",
    "cuCtxPushCurrent_v2": "(CUcontext c){cur[++top]=c;OK;}",
    "cuCtxPopCurrent_v2": "(CUcontext*c){if(top<0)return 201;if(c)*c=cur[top];top--;OK;}",
    "cuCtxGetCurrent": "(CUcontext*c){*c=top<0?0:cur[top];OK;}",
    "cuCtxSetCurrent": "(CUcontext c){if(top<0)top=0;cur[top]=c;OK;}",
    "cuCtxGetDevice": "(CUdevice*d){if(top<0)return 201;*d=0;OK;}",
    "cuCtxCreate_v2": "(CUcontext*c,unsigned f,CUdevice d){*c=(CUcontext)calloc(1,8);cur[++top]=*c;OK;}",
    "cuCtxCreate_v4": "(CUcontext*c,void*p,unsigned f,CUdevice d){*c=(CUcontext)calloc(1,8);cur[++top]=*c;OK;}",
    "cuCtxDestroy_v2": "(CUcontext c){if(top>=0&&cur[top]==c)top--;free(c);OK;}",
    "cuCtxDetach": "(CUcontext c){OK;}",
    "cuCtxAttach": "(CUcontext*c,unsigned f){*c=cur[top];OK;}",
    "cuDeviceComputeCapability": "(int*a,int*b,CUdevice d){*a=8;*b=9;OK;}",
    "cuCtxGetApiVersion": "(CUcontext c,unsigned*v){*v=13000;OK;}",
    "cuCtxGetFlags": "(unsigned*f){*f=0;OK;}",
    "cuStreamGetCtx": "(CUstream s,CUcontext*c){*c=top<0?0:cur[top];OK;}",
    "cuMemsetD32_v2": "(CUdeviceptr p,unsigned v,size_t n){unsigned*q=(unsigned*)(uintptr_t)p;while(n--)*q++=v;OK;}",
    "cuCtxSynchronize": "(void){OK;}",
    "cuMemAlloc_v2": "(CUdeviceptr*p,size_t n){if(top<0)return 201;if(n>(1ull<<30))return 2;*p=(CUdeviceptr)(uintptr_t)malloc(n);return *p?0:2;}",
    "cuMemFree_v2": "(CUdeviceptr p){free((void*)(uintptr_t)p);OK;}",
    "cuMemGetInfo_v2": "(size_t*f,size_t*t){*f=*t=1ull<<30;OK;}",
    "cuMemHostAlloc": "(void**p,size_t n,unsigned f){if(top<0)return 201;*p=aligned_alloc(4096,(n+4095)/4096*4096);OK;}",
    "cuMemAllocHost_v2": "(void**p,size_t n){*p=malloc(n);OK;}",
    "cuMemFreeHost": "(void*p){free(p);OK;}",
    "cuMemHostGetDevicePointer_v2": "(CUdeviceptr*d,void*p,unsigned f){*d=(CUdeviceptr)(uintptr_t)p;OK;}",
    "cuMemcpyHtoD_v2": "(CUdeviceptr d,const void*s,size_t n){memcpy((void*)(uintptr_t)d,s,n);OK;}",
    "cuMemcpyDtoH_v2": "(void*d,CUdeviceptr s,size_t n){memcpy(d,(void*)(uintptr_t)s,n);OK;}",
    "cuMemcpyDtoD_v2": "(CUdeviceptr d,CUdeviceptr s,size_t n){memcpy((void*)(uintptr_t)d,(void*)(uintptr_t)s,n);OK;}",
    "cuMemcpyHtoDAsync_v2": "(CUdeviceptr d,const void*s,size_t n,CUstream q){memcpy((void*)(uintptr_t)d,s,n);OK;}",
    "cuMemcpyDtoHAsync_v2": "(void*d,CUdeviceptr s,size_t n,CUstream q){memcpy(d,(void*)(uintptr_t)s,n);OK;}",
    "cuMemcpyDtoDAsync_v2": "(CUdeviceptr d,CUdeviceptr s,size_t n,CUstream q){memcpy((void*)(uintptr_t)d,(void*)(uintptr_t)s,n);OK;}",
    "cuMemsetD8_v2": "(CUdeviceptr p,unsigned char v,size_t n){memset((void*)(uintptr_t)p,v,n);OK;}",
    "cuMemsetD8Async": "(CUdeviceptr p,unsigned char v,size_t n,CUstream q){memset((void*)(uintptr_t)p,v,n);OK;}",
    "cuStreamCreate": "(CUstream*s,unsigned f){if(top<0)return 201;*s=(CUstream)calloc(1,8);OK;}",
    "cuStreamDestroy_v2": "(CUstream s){free(s);OK;}",
    "cuStreamSynchronize": "(CUstream s){OK;}",
    "cuStreamQuery": "(CUstream s){OK;}",
    "cuStreamWaitEvent": "(CUstream s,CUevent e,unsigned f){OK;}",
    "cuEventCreate": "(CUevent*e,unsigned f){*e=(CUevent)calloc(1,8);OK;}",
    "cuEventDestroy_v2": "(CUevent e){free(e);OK;}",
    "cuEventRecord": "(CUevent e,CUstream s){*(double*)e=now();OK;}",
    "cuEventQuery": "(CUevent e){OK;}",
    "cuEventSynchronize": "(CUevent e){OK;}",
    "cuEventElapsedTime": "(float*t,CUevent a,CUevent b){*t=(float)(*(double*)b-*(double*)a);OK;}",
    "cuEventElapsedTime_v2": "(float*t,CUevent a,CUevent b){*t=(float)(*(double*)b-*(double*)a);OK;}",
    "cuGetErrorString": '(CUresult e,const char**s){*s=e==201?"invalid device context":e==2?"out of memory":e==801?"operation not supported by the test driver":"error";OK;}',
    "cuGetErrorName": '(CUresult e,const char**s){*s="CUDA_ERROR";OK;}',
}


def main(kind: str, module: str, out: str) -> None:
    """Implements every symbol that the module wants of the driver."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", module], capture_output=True, text=True, check=True)
    symbols = sorted(set(re.findall(r"U (cu[A-Z]\w+)", listed.stdout)))
    bodies, missing = (NONE, 100) if kind == "none" else (HOST, 801)
    head = HEAD if kind == "host" else ""
    source = head + "\n".join(f"int {one}{bodies.get(one, f'(void){{return {missing};}}')}" for one in symbols)
    command = ["gcc", "-shared", "-fPIC", "-w", "-O1", "-Wl,-soname,libcuda.so.1", "-o", out, "-x", "c", "-"]
    subprocess.run(command, input=source + "\n", text=True, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
