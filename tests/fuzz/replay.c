/* A fuzzer's target without the fuzzer: runs the inputs that are its
 * arguments.  For tests/fuzz/replay.
 */
#include <stdio.h>

extern int LLVMFuzzerInitialize(int *, char ***) __attribute__((weak));
extern int LLVMFuzzerTestOneInput(unsigned char const *, size_t);

int
main(int argc, char **argv)
{
	static unsigned char data[1 << 20];
	int i;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f) {
			perror(argv[i]);
			return 111;
		}
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof data, f));
		fclose(f);
	}
	return 0;
}
