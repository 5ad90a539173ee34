"""What people see and share: pictures, sentences, one page."""
