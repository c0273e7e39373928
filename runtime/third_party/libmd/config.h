/* edgeseg's: sha2.c of libmd includes this. x86-64 and Jetson are little-endian, so WORDS_BIGENDIAN stays undefined. */
#define SHA256_ONLY 1
