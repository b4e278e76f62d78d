/* true: nothing, successfully: what a checkpassword program runs when only its
 * yes or no is wanted.
 *
 * Runs as: its caller.  Reads, writes: nothing.  Trusts: nobody.  Trusted by:
 * nobody.
 */
int
main(void)
{
	return 0;
}
