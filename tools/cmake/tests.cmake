# Test programs, fuzz targets over their corpus, and the checks of the source itself.
pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)

set(FST_TEST_SECONDS 60)
if(FST_SANITIZED)
    set(FST_TEST_SECONDS 240)
endif()
set(FST_TEST_ENVIRONMENT
    TMPDIR=${CMAKE_BINARY_DIR}/tmp
    ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
    TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tmp)

# fst_test(NAME LABEL COMMAND...): runs at the root of the source, so data is found by path.
function(fst_test name label)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES
        LABELS ${label} TIMEOUT ${FST_TEST_SECONDS} ENVIRONMENT "${FST_TEST_ENVIRONMENT}")
endfunction()

if(FST_KIND STREQUAL fuzz)
    set(folders)
else()
    file(GLOB folders CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*)
endif()
foreach(folder IN LISTS folders)
    cmake_path(GET folder FILENAME label)
    file(GLOB files CONFIGURE_DEPENDS ${folder}/*_test.c)
    file(GLOB helpers CONFIGURE_DEPENDS ${folder}/*.c)
    list(REMOVE_ITEM helpers ${files} "")
    if(NOT files)
        continue()
    endif()
    fst_files(test_${label} ${helpers} LINKS
        fst_server fst_client fst_fsctl fst_bench fst_micro PkgConfig::CMOCKA)
    foreach(file IN LISTS files)
        cmake_path(GET file STEM stem)
        string(REGEX REPLACE "_test$" "" noun ${stem})
        set(target test_${label}_${noun})
        fst_program(${target} tests/${label}/${stem}.c fst_test_${label})
        set_target_properties(${target} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/${label} OUTPUT_NAME ${stem})
        fst_test(${label}/${noun} ${label} ${target})
    endforeach()
endforeach()

# In kind fuzz a target is a libFuzzer program; in all others it reads the committed corpus once.
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*_fuzz.c)
set(corpus_main ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus_main.c)
foreach(file IN LISTS fuzzers)
    cmake_path(GET file STEM stem)
    string(REGEX REPLACE "_fuzz$" "" noun ${stem})
    fst_program(${stem} tests/fuzz/${stem}.c fst_server fst_client)
    set_target_properties(${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    if(FST_KIND STREQUAL fuzz)
        target_link_options(${stem} PRIVATE -fsanitize=fuzzer)
        fst_test(fuzz/${noun} fuzz ${stem} -runs=0 tests/corpus/${noun})
    else()
        target_sources(${stem} PRIVATE ${corpus_main})
        fst_test(fuzz/${noun} fuzz ${stem} tests/corpus/${noun})
    endif()
endforeach()

find_program(PYTHON3 python3)
if(PYTHON3 AND NOT FST_SANITIZED)
    file(GLOB checks CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/tidy/*_test.py)
    foreach(file IN LISTS checks)
        cmake_path(GET file STEM stem)
        string(REGEX REPLACE "_test$" "" noun ${stem})
        fst_test(tidy/${noun} tidy ${PYTHON3} -B tests/tidy/${stem}.py ${CMAKE_BINARY_DIR})
    endforeach()
endif()
