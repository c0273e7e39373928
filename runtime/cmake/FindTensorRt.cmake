# TensorRT, or TensorRT for RTX, from TENSORRT_ROOT (include/, lib/) or the system, and the CUDA runtime from CUDAToolkit or CUDA_ROOT.
set(TENSORRT_ROOT "" CACHE PATH "Folder of TensorRT's include/ and lib/")
set(CUDA_ROOT "" CACHE PATH "Folder of the CUDA runtime's include/ and lib/, where no toolkit is installed")
find_path(TENSORRT_INCLUDE NvInfer.h HINTS ${TENSORRT_ROOT}/include REQUIRED)
find_library(TENSORRT_LIBRARY NAMES tensorrt_rtx libtensorrt_rtx.so.1 nvinfer libnvinfer.so.11 libnvinfer.so.10 libnvinfer.so.8
             HINTS ${TENSORRT_ROOT}/lib ${TENSORRT_ROOT}/lib64 ${TENSORRT_ROOT} REQUIRED)
find_path(CUDART_INCLUDE cuda_runtime_api.h HINTS ${CUDA_ROOT}/include /usr/local/cuda/include REQUIRED)
find_library(CUDART_LIBRARY NAMES cudart libcudart.so.13 libcudart.so.12 libcudart.so.11.0 HINTS ${CUDA_ROOT}/lib ${CUDA_ROOT}/lib64 /usr/local/cuda/lib64 REQUIRED)
add_library(edgeseg_tensorrt INTERFACE)
target_include_directories(edgeseg_tensorrt SYSTEM INTERFACE ${TENSORRT_INCLUDE} ${CUDART_INCLUDE})
target_link_libraries(edgeseg_tensorrt INTERFACE ${TENSORRT_LIBRARY} ${CUDART_LIBRARY})
