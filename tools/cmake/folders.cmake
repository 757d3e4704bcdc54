# fst_files(NAME FILES... LINKS LIBRARIES...): library fst_NAME of these files, strict warnings.
# Without a file that exists it is an empty library that only passes on its links.
function(fst_files name)
    cmake_parse_arguments(ARG "" "" "LINKS" ${ARGN})
    set(files)
    foreach(file IN LISTS ARG_UNPARSED_ARGUMENTS)
        if(EXISTS ${file})
            list(APPEND files ${file})
        endif()
    endforeach()
    if(files)
        add_library(fst_${name} STATIC ${files})
        set(scope PUBLIC)
        fst_compile(fst_${name})
    else()
        add_library(fst_${name} INTERFACE)
        set(scope INTERFACE)
    endif()
    target_link_libraries(fst_${name} ${scope} ${ARG_LINKS})
endfunction()

# Include roots and warnings of everything written by hand.
function(fst_compile target)
    target_compile_options(${target} PRIVATE ${FST_WARNINGS})
    target_include_directories(${target} PRIVATE
        ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
endfunction()

# fst_folder(NAME FOLDER LIBRARIES...), or with files left out:
# fst_folder(NAME FOLDER EXCEPT FILES... LINKS LIBRARIES...).
function(fst_folder name folder)
    cmake_parse_arguments(ARG "" "" "EXCEPT;LINKS" ${ARGN})
    file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
    foreach(file IN LISTS ARG_EXCEPT)
        list(REMOVE_ITEM files ${CMAKE_SOURCE_DIR}/${folder}/${file})
    endforeach()
    fst_files(${name} ${files} LINKS ${ARG_UNPARSED_ARGUMENTS} ${ARG_LINKS})
endfunction()
