# cmake --install build/release --prefix DIR
foreach(program fsd fsctl fsbench)
    if(TARGET ${program})
        install(TARGETS ${program} RUNTIME)
    endif()
endforeach()

# What names the place it is installed to is written when that is known, at installation.
if(FST_LIBRARY)
    install(TARGETS fstore LIBRARY)
    install(FILES ${CMAKE_BINARY_DIR}/libfstore.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
    install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/fstore DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN *.h PATTERN *.proto)
endif()
install(CODE "
    set(FST_SOURCE \"${CMAKE_SOURCE_DIR}/tools/packaging\")
    set(FST_MADE \"${CMAKE_BINARY_DIR}/packaging\")
    set(FST_VERSION \"${PROJECT_VERSION}\")
    set(FST_LIBDIR \"${CMAKE_INSTALL_LIBDIR}\")
    set(FST_INCLUDEDIR \"${CMAKE_INSTALL_INCLUDEDIR}\")
    set(FST_DOCDIR \"${CMAKE_INSTALL_DOCDIR}\")
    set(FST_HAS_LIBRARY ${FST_LIBRARY})")
install(SCRIPT ${CMAKE_SOURCE_DIR}/tools/cmake/packaging.cmake)

set(completion ${CMAKE_SOURCE_DIR}/tools/completion/fsctl.bash)
if(EXISTS ${completion})
    install(FILES ${completion} DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME fsctl)
endif()
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
