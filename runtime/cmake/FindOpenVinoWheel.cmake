# Points find_package(OpenVINO) at the Python wheel, a full C++ kit, where no other install was named. The wheel is found without
# importing it.
if(NOT OpenVINO_DIR)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  if(Python3_Interpreter_FOUND)
    execute_process(
      COMMAND ${Python3_EXECUTABLE} -c
              "import importlib.util as u; s = u.find_spec('openvino'); print(s.submodule_search_locations[0] + '/cmake' if s else '')"
      OUTPUT_VARIABLE edgeseg_wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    if(edgeseg_wheel AND EXISTS "${edgeseg_wheel}/OpenVINOConfig.cmake")
      set(OpenVINO_DIR "${edgeseg_wheel}" CACHE PATH "Folder of OpenVINOConfig.cmake" FORCE)
    endif()
  endif()
endif()
