# Every library that is not ours, by Debian package. No target here is linked but by the module that wraps it.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb>=0.9.24)                  # liblmdb-dev
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv>=1.44)                  # libuv1-dev
pkg_check_modules(YAJL REQUIRED IMPORTED_TARGET yajl>=2.1)                     # libyajl-dev
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c>=1.4)      # libprotobuf-c-dev
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc>=72 icu-i18n>=72)        # libicu-dev
pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4>=1.9)                    # liblz4-dev
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash>=0.8)              # libxxhash-dev
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih>=55)                      # libinih-dev
find_library(STEMMER_LIBRARY stemmer REQUIRED)                                 # libstemmer-dev
if(MAYFLY_ALLOCATORS)
  pkg_check_modules(TCMALLOC REQUIRED IMPORTED_TARGET libtcmalloc_minimal>=2.10) # libgoogle-perftools-dev
endif()
if(BUILD_TESTING)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1)               # libcmocka-dev
endif()
find_program(PROTOC_C protoc-c REQUIRED)                                       # protobuf-c-compiler
find_program(PROTOC protoc REQUIRED)                                           # protobuf-compiler
