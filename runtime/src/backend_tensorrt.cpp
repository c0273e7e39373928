// TensorRT 8.6 to 11 and TensorRT for RTX, one source: the v3 execution API only, which all of them have.
//
// The libraries do not check the age of the headers a program was built with, and an older program crashes inside a newer library.
// So the library is asked for its version first and refused unless it is the headers' own.
#include <NvInfer.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "backend.hpp"
#include "error.hpp"

namespace edgeseg {
namespace {

#if defined(TRT_MAJOR_RTX)
constexpr bool is_rtx = true;
constexpr const char* library_name = "TensorRT for RTX";
constexpr int header_major = TRT_MAJOR_RTX, header_minor = TRT_MINOR_RTX, header_patch = TRT_PATCH_RTX, header_build = TRT_BUILD_RTX;
#else
constexpr bool is_rtx = false;
constexpr const char* library_name = "TensorRT";
constexpr int header_major = NV_TENSORRT_MAJOR, header_minor = NV_TENSORRT_MINOR, header_patch = NV_TENSORRT_PATCH, header_build = NV_TENSORRT_BUILD;
#endif

// As getInferLibVersion counts: 8.6.1 is 8601, from 10 on and in RTX 1.x 10.3.0 is 100300.
constexpr std::int32_t header_version =
    !is_rtx && header_major < 10 ? header_major * 1000 + header_minor * 100 + header_patch : header_major * 10000 + header_minor * 100 + header_patch;

std::string text_of(std::int32_t version) {
    const bool old = version < 10000;
    const std::int32_t major = old ? version / 1000 : version / 10000, rest = old ? version % 1000 : version % 10000;
    return std::to_string(major) + "." + std::to_string(rest / 100) + "." + std::to_string(rest % 100);
}

// Engine versions are written with the build number: "10.3.0.26". Only the headers know it in every release.
std::string header_text() { return text_of(header_version) + "." + std::to_string(header_build); }

Obstacle library_obstacle() {
    const std::int32_t library = getInferLibVersion();
    if (library == header_version) return {};
    return {EDGESEG_E_FINGERPRINT, std::string("this edgeseg was built with ") + library_name + " " + text_of(header_version) + " headers but finds library " +
                                       text_of(library) + ", which would crash; build edgeseg with that version's headers"};
}

std::string cuda_text(cudaError_t error) { return std::string(cudaGetErrorName(error)) + ", " + cudaGetErrorString(error); }

void cuda_check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw Error(EDGESEG_E_BACKEND, std::string("CUDA failed to ") + what + ": " + cuda_text(error));
}

Obstacle device_obstacle(std::uint32_t device) {
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        const std::string why = error != cudaSuccess ? " (" + cuda_text(error) + ")" : "";
        return {EDGESEG_E_DEVICE, std::string(library_name) + " needs an NVIDIA GPU with its driver and finds none" + why + "; install the driver or use another backend"};
    }
    if (device >= static_cast<std::uint32_t>(count)) {
        return {EDGESEG_E_DEVICE, "there is no GPU " + std::to_string(device) + ", only " + std::to_string(count)};
    }
    return {};
}

std::string compute_capability(std::uint32_t device, int& major) {
    int minor = 0;
    cuda_check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, static_cast<int>(device)), "ask for the compute capability");
    cuda_check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, static_cast<int>(device)), "ask for the compute capability");
    return std::to_string(major) + "." + std::to_string(minor);
}

Obstacle misfit(const Engine& engine, const std::string& wants, const std::string& has) {
    return {EDGESEG_E_FINGERPRINT, "engine \"" + engine.name + "\" is for " + wants + ", this machine has " + has + "; rebuild it here: edgeseg export BUNDLE --target " + engine.target};
}

#if defined(__aarch64__)
constexpr const char* platform = "linux-aarch64";
#else
constexpr const char* platform = "linux-x86_64";
#endif

// Errors are kept for our own sentence; nothing is printed. TensorRT may log from its own threads, but not while it is loading for us.
class Log final : public nvinfer1::ILogger {
public:
    void log(Severity severity, const char* message) noexcept override {
        if (severity > Severity::kERROR || last_[0] != '\0') return;
        const std::size_t length = std::min(std::strlen(message), sizeof last_ - 1);
        std::memcpy(last_, message, length);
        last_[length] = '\0';
    }
    std::string last() const { return one_line(last_); }
    void clear() noexcept { last_[0] = '\0'; }

private:
    char last_[400] = {};
};

// The thread's current GPU while it lives; the caller's afterwards.
class OnDevice {
public:
    explicit OnDevice(int device) noexcept {
        if (cudaGetDevice(&before_) != cudaSuccess || before_ == device) before_ = -1;
        selected_ = cudaSetDevice(device);
    }
    ~OnDevice() {
        if (before_ >= 0) (void)cudaSetDevice(before_);
    }
    // Not where things are given back: nobody is left to tell.
    void required() const { cuda_check(selected_, "select the GPU"); }
    OnDevice(const OnDevice&) = delete;
    OnDevice& operator=(const OnDevice&) = delete;

private:
    int before_ = -1;
    cudaError_t selected_ = cudaSuccess;
};

class TensorRt final : public Backend {
public:
    explicit TensorRt(const Load& load) : device_(static_cast<int>(load.device)) {
        const OnDevice here(device_);
        here.required();
        runtime_.reset(nvinfer1::createInferRuntime(log_));
        if (runtime_ == nullptr) fail(load, "no runtime");
        engine_.reset(runtime_->deserializeCudaEngine(load.file.data(), load.file.size()));
        if (engine_ == nullptr) fail(load, "the engine is refused");
        context_.reset(engine_->createExecutionContext());
        if (context_ == nullptr) fail(load, "no execution context");
        find_ports(load);
        input_size_ = static_cast<std::size_t>(load.height) * static_cast<std::size_t>(load.width) * 3;
        output_size_ = static_cast<std::size_t>(load.height) * static_cast<std::size_t>(load.width) * static_cast<std::size_t>(load.channels);
        allocate();
        const bool bound = context_->setInputShape(input_name_.c_str(), nvinfer1::Dims4{1, load.height, load.width, 3}) &&
                           context_->setTensorAddress(input_name_.c_str(), device_in_) && context_->setTensorAddress(output_name_.c_str(), device_out_);
        if (!bound || !gives_one(load)) {
            release();  // the destructor does not run for an object that was not finished
            fail(load, "the manifest's input size does not fit the engine");
        }
    }
    ~TensorRt() override {
        const OnDevice here(device_);
        context_.reset();
        engine_.reset();
        runtime_.reset();
        release();
    }

    std::uint8_t* input() noexcept override { return host_in_; }
    const std::uint8_t* output() const noexcept override { return host_out_; }
    void infer() override {
        // A session may move between threads; the current device is the thread's.
        const OnDevice here(device_);
        here.required();
        cuda_check(cudaMemcpyAsync(device_in_, host_in_, input_size_, cudaMemcpyHostToDevice, stream_), "copy a frame to the GPU");
        log_.clear();
        if (!context_->enqueueV3(stream_)) throw Error(EDGESEG_E_BACKEND, std::string(library_name) + " failed on a frame: " + log_.last());
        cuda_check(cudaMemcpyAsync(host_out_, device_out_, output_size_, cudaMemcpyDeviceToHost, stream_), "copy a result from the GPU");
        cuda_check(cudaStreamSynchronize(stream_), "run the engine");
    }

private:
    template <typename Object>
    struct Delete {
        void operator()(Object* object) const { delete object; }
    };
    template <typename Object>
    using Owned = std::unique_ptr<Object, Delete<Object>>;

    [[noreturn]] void fail(const Load& load, const char* what) const {
        throw Error(EDGESEG_E_BACKEND, std::string(library_name) + " " + text_of(getInferLibVersion()) + " cannot load \"" + load.name + "\": " + what + " (" + log_.last() + ")");
    }
    void find_ports(const Load& load) {
        for (int i = 0; i < engine_->getNbIOTensors(); ++i) {
            const char* name = engine_->getIOTensorName(i);
            const bool in = engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
            std::string& port = in ? input_name_ : output_name_;
            const nvinfer1::Dims shape = engine_->getTensorShape(name);
            const bool right = in ? shape.nbDims == 4 && shape.d[3] == 3 && fixed(shape.d[1], load.height) && fixed(shape.d[2], load.width)
                                  : shape.nbDims == 4 && shape.d[1] == load.channels && fixed(shape.d[2], load.height) && fixed(shape.d[3], load.width);
            if (!port.empty() || engine_->getTensorDataType(name) != nvinfer1::DataType::kUINT8 || !right) {
                throw Error(EDGESEG_E_MANIFEST, "engine \"" + load.name + "\" has other inputs or outputs than the manifest says; rebuild it");
            }
            port = name;
        }
        if (input_name_.empty() || output_name_.empty()) throw Error(EDGESEG_E_MANIFEST, "engine \"" + load.name + "\" has no input or no output; rebuild it");
    }
    template <typename Size>
    static bool fixed(Size has, int wanted) {
        return has == wanted || has == -1;
    }
    // Whether a frame in gives one result out, and no more than there is room for.
    bool gives_one(const Load& load) const {
        const nvinfer1::Dims shape = context_->getTensorShape(output_name_.c_str());
        return shape.nbDims == 4 && shape.d[0] == 1 && shape.d[1] == load.channels && shape.d[2] == load.height && shape.d[3] == load.width;
    }
    void allocate() {
        try {
            cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "make a stream");
            cuda_check(cudaMallocHost(reinterpret_cast<void**>(&host_in_), input_size_), "allocate pinned memory");
            cuda_check(cudaMallocHost(reinterpret_cast<void**>(&host_out_), output_size_), "allocate pinned memory");
            cuda_check(cudaMalloc(&device_in_, input_size_), "allocate GPU memory");
            cuda_check(cudaMalloc(&device_out_, output_size_), "allocate GPU memory");
        } catch (...) {
            release();  // the destructor does not run for an object that was not finished
            throw;
        }
    }
    // Failures on the way down have nobody left to tell.
    void release() noexcept {
        (void)cudaFree(device_in_);
        (void)cudaFree(device_out_);
        (void)cudaFreeHost(host_in_);
        (void)cudaFreeHost(host_out_);
        if (stream_ != nullptr) (void)cudaStreamDestroy(stream_);
        device_in_ = device_out_ = nullptr;
        host_in_ = host_out_ = nullptr;
        stream_ = nullptr;
    }

    Log log_;
    int device_;
    Owned<nvinfer1::IRuntime> runtime_;
    Owned<nvinfer1::ICudaEngine> engine_;
    Owned<nvinfer1::IExecutionContext> context_;
    std::string input_name_, output_name_;
    std::size_t input_size_ = 0, output_size_ = 0;
    cudaStream_t stream_ = nullptr;
    std::uint8_t *host_in_ = nullptr, *host_out_ = nullptr;
    void *device_in_ = nullptr, *device_out_ = nullptr;
};

bool same_version(const std::string& engine) {
    return engine == header_text() || engine == text_of(header_version);
}

}  // namespace

Obstacle tensorrt_obstacle(const Engine& engine, std::uint32_t device) {
    if (const Obstacle library = library_obstacle(); library.status != EDGESEG_OK) return library;
    if (engine.platform != platform) return misfit(engine, engine.platform, platform);
    if (engine.rtx != is_rtx || !same_version(engine.version)) {
        return misfit(engine, (engine.rtx ? "TensorRT for RTX " : "TensorRT ") + engine.version, library_name + (" " + header_text()));
    }
    if (const Obstacle gpu = device_obstacle(device); gpu.status != EDGESEG_OK) return gpu;
    int driver = 0;
    cuda_check(cudaDriverGetVersion(&driver), "ask for the driver's version");
    if (driver < engine.cuda_driver_min) return misfit(engine, "CUDA driver " + std::to_string(engine.cuda_driver_min) + " or later", "CUDA driver " + std::to_string(driver));
    int major = 0;
    const std::string here = compute_capability(device, major);
    const std::vector<std::string>& listed = engine.compute_capabilities;
    const bool compatible = engine.ampere_plus && major >= 8;
    if (!compatible && std::find(listed.begin(), listed.end(), here) == listed.end()) {
        std::string wants;
        for (const std::string& one : listed) wants += (wants.empty() ? "" : ", ") + one;
        return misfit(engine, "compute capability " + wants, here);
    }
    return {};
}

std::unique_ptr<Backend> load_tensorrt(const Load& load) { return std::make_unique<TensorRt>(load); }

}  // namespace edgeseg
