"""Results of finished work: a folder, its writer and its reader, and the judging of its numbers."""
