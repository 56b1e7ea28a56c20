"""Code that runs inside the services' processes, in the services' own venv.

Everything here works around one named fact of OpenStack; nothing of it is imported by the launcher.
"""
