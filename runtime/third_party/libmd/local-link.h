/* edgeseg's: sha2.c of libmd includes this for its symbol aliases, which an embedded copy does not need. */
