# Runs at installation: files that hold the folder they are installed to.
set(FST_PREFIX ${CMAKE_INSTALL_PREFIX})
set(FST_CONFIG ${CMAKE_INSTALL_PREFIX}/etc/fstore)
if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
    set(FST_CONFIG /etc/fstore)
endif()

if(FST_HAS_LIBRARY)
    configure_file(${FST_SOURCE}/fstore.pc.in ${FST_MADE}/fstore.pc @ONLY)
    file(INSTALL ${FST_MADE}/fstore.pc DESTINATION ${FST_PREFIX}/${FST_LIBDIR}/pkgconfig)
endif()
configure_file(${FST_SOURCE}/fsd.service.in ${FST_MADE}/fsd.service @ONLY)
file(INSTALL ${FST_MADE}/fsd.service DESTINATION ${FST_PREFIX}/lib/systemd/system)
file(INSTALL ${FST_SOURCE}/fstore.sysusers DESTINATION ${FST_PREFIX}/lib/sysusers.d
    RENAME fstore.conf)

# Settings that are there already are the administrator's.
if(NOT EXISTS $ENV{DESTDIR}${FST_CONFIG}/fsd.conf)
    file(INSTALL ${FST_SOURCE}/fsd.conf DESTINATION ${FST_CONFIG})
endif()
