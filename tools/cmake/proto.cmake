# fst_proto(NAME ROOT FOLDER): library NAME of the messages in ROOT/FOLDER/*.proto. The generated
# header is <build>/include/FOLDER/<noun>.pb-c.h; generated code is not held to our warnings.
find_program(PROTOC_C protoc-c REQUIRED)

function(fst_proto name root folder)
    file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${root}/${folder}/*.proto)
    set(out ${CMAKE_BINARY_DIR}/include)
    file(MAKE_DIRECTORY ${out}/${folder})
    set(sources)
    foreach(proto IN LISTS protos)
        cmake_path(GET proto STEM noun)
        set(made ${out}/${folder}/${noun}.pb-c)
        add_custom_command(
            OUTPUT ${made}.c ${made}.h
            COMMAND ${PROTOC_C} --c_out=${out} -I ${CMAKE_SOURCE_DIR}/${root} ${proto}
            DEPENDS ${proto}
            COMMENT "Generating ${folder}/${noun}.pb-c.h"
            VERBATIM)
        list(APPEND sources ${made}.c ${made}.h)
    endforeach()
    if(sources)
        add_library(${name} STATIC ${sources})
        target_compile_options(${name} PRIVATE -w)
        target_include_directories(${name} SYSTEM PUBLIC ${out})
        target_link_libraries(${name} PUBLIC PkgConfig::PROTOBUF_C)
    else()
        add_library(${name} INTERFACE)
        target_include_directories(${name} SYSTEM INTERFACE ${out})
        target_link_libraries(${name} INTERFACE PkgConfig::PROTOBUF_C)
    endif()
endfunction()
