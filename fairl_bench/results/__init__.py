"""What finished work says: a results folder, its writer and its reader, and the judging of its numbers."""
