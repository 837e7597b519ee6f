# weir_library(NAME [SOURCES a.c ...] [DEPS target ...])
#   A static library of src/<folder>. What it DEPS on, its users get too. Without sources yet it is an interface only.
function(weir_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
    if(NOT ARG_SOURCES)
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE ${ARG_DEPS})
        return()
    endif()
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE weir_flags)
endfunction()

# weir_unit_test(NAME [SOURCES a.c ...] [DEPS target ...])
#   A cmocka program, tests/unit/NAME.c unless SOURCES says otherwise; ctest label "unit".
function(weir_unit_test name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
    if(NOT ARG_SOURCES)
        set(ARG_SOURCES ${name}.c)
    endif()
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE ${ARG_DEPS} PkgConfig::cmocka weir_flags)
    target_compile_options(${name} PRIVATE -Wno-null-dereference) # a test may crash on what it did not expect
    target_compile_definitions(${name} PRIVATE WEIR_TEST_DIR="${PROJECT_SOURCE_DIR}/tests")
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 60)
endfunction()

# weir_dependency(VAR SCRIPT [ARGUMENT...])
#   Runs SCRIPT, which makes a dependency unless the cache has it, and puts the folder that it prints into VAR.
function(weir_dependency var script)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${script}")
    execute_process(COMMAND "${PROJECT_SOURCE_DIR}/${script}" ${ARGN} OUTPUT_VARIABLE dir OUTPUT_STRIP_TRAILING_WHITESPACE
        RESULT_VARIABLE result)
    if(NOT result EQUAL 0)
        message(FATAL_ERROR "${script} failed; what it said is above")
    endif()
    set(${var} "${dir}" PARENT_SCOPE)
endfunction()
