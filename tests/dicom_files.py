"""DICOM files made for the tests; pydicom writes them."""

import numpy as np

STUDY = '1.2.826.0.1.3680043.8.498.1'


def write_dicom(path, pixels, bits=12, photometric='MONOCHROME2', compress=None, **tags):
    """Write a Digital X-ray of unsigned 16-bit pixels (H, W); more tags by keyword."""
    from pydicom import Dataset, uid
    from pydicom.dataset import FileMetaDataset

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = (
        uid.DigitalXRayImageStorageForPresentation
    )
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    ds.StudyInstanceUID = STUDY
    ds.Modality, ds.ViewPosition = 'DX', 'PA'
    ds.PatientName, ds.PatientID = 'Doe^Jane', 'MRN-4711'
    if pixels is not None:
        ds.Rows, ds.Columns = pixels.shape[-2:]
        ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
        ds.PhotometricInterpretation = photometric
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, bits, bits - 1
        ds.PixelData = np.ascontiguousarray(pixels, '<u2').tobytes()
    for key, value in tags.items():
        setattr(ds, key, value)
    if compress == 'DeflatedExplicit':
        ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    elif compress:
        ds.compress(getattr(uid, compress))
    ds.save_as(path, enforce_file_format=True)
    return path
