# libfstore, for other people's programs: everything is hidden but what is marked FST_API.
get_target_property(client_type fst_client TYPE)
set(FST_LIBRARY OFF)
if(client_type STREQUAL STATIC_LIBRARY AND NOT FST_SANITIZED)
    get_target_property(base_type fst_base TYPE)
    get_target_property(frame_type fst_frame TYPE)
    if(base_type STREQUAL STATIC_LIBRARY AND frame_type STREQUAL STATIC_LIBRARY)
        set(FST_LIBRARY ON)
    endif()
endif()

if(FST_LIBRARY)
    # The library of the status texts is reached through archives: name what must be taken along.
    set(exports -Wl,-u,fst_status_name,-u,fst_status_text,-u,fst_error_set)
    add_library(fstore SHARED $<TARGET_OBJECTS:fst_client>)
    set_target_properties(fstore PROPERTIES
        LINKER_LANGUAGE C VERSION 0.1.0 SOVERSION 0 LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    target_link_options(fstore PRIVATE ${exports} -Wl,--no-undefined)
    target_link_libraries(fstore PRIVATE fst_frame fst_base)

    # The static one is a single object, so that hidden names stay hidden there too.
    set(relocatable -r -nostdlib)
    if(FST_LTO)
        list(APPEND relocatable -O3 -flto=auto -flinker-output=nolto-rel)
    endif()
    set(whole ${CMAKE_BINARY_DIR}/lib/fstore.o)
    add_custom_command(
        OUTPUT ${CMAKE_BINARY_DIR}/libfstore.a
        COMMAND ${CMAKE_C_COMPILER} ${relocatable} -o ${whole} $<TARGET_OBJECTS:fst_client>
            -Wl,-u,fst_status_name,-u,fst_status_text,-u,fst_error_set
            $<TARGET_FILE:fst_frame> $<TARGET_FILE:fst_base>
        COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${whole}
        COMMAND ${CMAKE_COMMAND} -E rm -f ${CMAKE_BINARY_DIR}/libfstore.a
        COMMAND ${CMAKE_AR} rcs ${CMAKE_BINARY_DIR}/libfstore.a ${whole}
        DEPENDS fst_client fst_frame fst_base $<TARGET_OBJECTS:fst_client>
        COMMENT "Linking libfstore.a"
        COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(fstore_static ALL DEPENDS ${CMAKE_BINARY_DIR}/libfstore.a)
endif()
