"""A DICOM node: X-rays in from an archive, their results back into the same study.

One instance (``Predictor``: its header, the network, ``results.py`` → a structured report and a
secondary capture) → one ``Worker``, which asks the ``Journal`` whether it was done → one of two
transports: ``orthanc.py`` polls an Orthanc, ``listen.py`` takes and sends C-STORE. Needs the extra
``node``, and torch for a checkpoint only.
"""
